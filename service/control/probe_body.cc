#include "control/probe_body.h"

#include <string_view>

#include "text/json_string.h"
#include "text/printable.h"
#include "text/utf8.h"

namespace penstock::control {
namespace {

// Messages quote what other programs said, in whatever encoding.
void append_json(std::string_view text, std::string& out) {
  text::append_json_string(out, text::repaired_utf8(text));
}

}  // namespace

std::string probe_text(const Verdict& verdict) {
  std::string out = verdict.ok ? "ok\n" : "failing\n";
  for (const Finding& finding : verdict.findings) {
    out += "- ";
    if (!finding.pipeline.empty()) out += finding.pipeline + ": ";
    out += finding.reason + ": " + text::printable(finding.message) + "\n";
  }
  return out;
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
  return out + "]}\n";
}

}  // namespace penstock::control
