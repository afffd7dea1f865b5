#include "control/probe_body.h"

#include <format>
#include <iterator>
#include <string_view>

#include "text/utf8.h"

namespace penstock::control {
namespace {

void append_json(std::string_view text, std::string& out) {
  out += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20) {
      std::format_to(std::back_inserter(out), "\\u{:04x}", byte);
    } else {
      out += c;
    }
  }
  out += '"';
}

}  // namespace

std::string probe_text(const Verdict& verdict) {
  std::string out = verdict.ok ? "ok\n" : "failing\n";
  for (const Finding& finding : verdict.findings) {
    out += "- ";
    if (!finding.pipeline.empty()) out += finding.pipeline + ": ";
    out += finding.reason + ": " + finding.message + "\n";
  }
  return text::valid_utf8(out);
}

std::string probe_json(const Verdict& verdict) {
  std::string out =
      verdict.ok ? R"({"status":"ok","checks":[)" : R"({"status":"failing","checks":[)";
  bool first = true;
  for (const Finding& finding : verdict.findings) {
    out += first ? R"({"pipeline":)" : R"(,{"pipeline":)";
    first = false;
    append_json(finding.pipeline, out);
    out += R"(,"reason":)";
    append_json(finding.reason, out);
    out += R"(,"message":)";
    append_json(finding.message, out);
    out += '}';
  }
  return text::valid_utf8(out + "]}\n");
}

}  // namespace penstock::control
