#include "text/json_string.h"

#include <cstddef>

namespace penstock::text {
namespace {

constexpr std::string_view kHex = "0123456789abcdef";
constexpr unsigned char kBeforeC1 = 0xC2;  // U+0080 to U+009F are this byte and one below 0xA0

bool is_plain(unsigned char byte) {
  return byte >= 0x20 && byte != '"' && byte != '\\' && byte != 0x7F && byte != kBeforeC1;
}

void append_code(std::string& out, unsigned char code) {
  out += "\\u00";
  out += kHex[code >> 4U];
  out += kHex[code & 15U];
}

}  // namespace

void append_json_escaped(std::string& out, std::string_view text) {
  std::size_t done = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (is_plain(byte)) continue;
    out += text.substr(done, i - done);
    done = i + 1;
    switch (text[i]) {
      case '"':
      case '\\':
        out += '\\';
        out += text[i];
        break;
      case '\n':
        out += "\\n";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\r':
        out += "\\r";
        break;
      case static_cast<char>(kBeforeC1):
        if (i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0) {
          append_code(out, static_cast<unsigned char>(text[++i]));
          ++done;
        } else {
          done = i;
        }
        break;
      default:
        append_code(out, byte);
    }
  }
  out += text.substr(done);
}

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  append_json_escaped(out, text);
  out += '"';
}

}  // namespace penstock::text
