#include "core/error.h"

#include <utility>

namespace penstock {

std::string_view to_string(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::invalid_argument:
      return "invalid_argument";
    case ErrorKind::not_found:
      return "not_found";
    case ErrorKind::permission_denied:
      return "permission_denied";
    case ErrorKind::unavailable:
      return "unavailable";
    case ErrorKind::deadline_exceeded:
      return "deadline_exceeded";
    case ErrorKind::fenced:
      return "fenced";
    case ErrorKind::data:
      return "data";
    case ErrorKind::conflict:
      return "conflict";
    case ErrorKind::cancelled:
      return "cancelled";
    case ErrorKind::internal:
      return "internal";
  }
  return "internal";
}

std::string Error::to_string() const {
  std::string text = message;
  if (!hint.empty()) text += " (" + hint + ")";
  if (!sqlstate.empty()) text += " [SQLSTATE " + sqlstate + "]";
  return text;
}

std::unexpected<Error> fail(ErrorKind kind, std::string message, std::string hint,
                            std::string sqlstate) {
  return std::unexpected(Error{kind, std::move(message), std::move(hint), std::move(sqlstate)});
}

}  // namespace penstock
