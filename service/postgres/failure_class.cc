#include "postgres/failure_class.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <ranges>
#include <utility>

namespace penstock::postgres {
namespace {

struct Entry {
  std::string_view prefix;  // a class (two characters) or a whole SQLSTATE
  FailureClass failure;
};

// The longest prefix counts. PostgreSQL documentation, Appendix A, "PostgreSQL Error Codes".
constexpr std::array kTable{
    Entry{"08", FailureClass::retry},             // connection exceptions
    Entry{"08P01", FailureClass::row},            // a value with too few or too many bytes
    Entry{"0A", FailureClass::configuration},     // feature not supported
    Entry{"22", FailureClass::row},               // data exceptions
    Entry{"2200H", FailureClass::configuration},  // a sequence at its end
    Entry{"23", FailureClass::row},               // integrity constraints
    Entry{"25", FailureClass::retry},             // the state of our transaction: begin a new one
    Entry{"25006", FailureClass::retry},          // read-only: a standby after a failover
    Entry{"26", FailureClass::retry},             // the session forgot our prepared statement
    Entry{"28", FailureClass::configuration},     // credentials
    Entry{"2B", FailureClass::configuration},
    Entry{"2D", FailureClass::configuration},  // a trigger that commits
    Entry{"34", FailureClass::retry},
    Entry{"3B", FailureClass::retry},  // savepoints
    Entry{"3D", FailureClass::configuration},
    Entry{"3F", FailureClass::configuration},
    Entry{"40", FailureClass::retry_quickly},  // serialization failure, deadlock
    Entry{"42", FailureClass::configuration},  // undefined table or column, privileges
    Entry{"42601", FailureClass::row},         // a text that is no ltree; our statements are right
    Entry{"42622", FailureClass::row},         // a value too long for the types name and ltree
    Entry{"44", FailureClass::row},            // WITH CHECK OPTION
    Entry{"53", FailureClass::retry},          // disk full, out of memory, too many connections
    Entry{"54", FailureClass::row},            // row too big, index row too big, nesting too deep
    Entry{"55", FailureClass::retry},          // lock_timeout, object in use
    Entry{"57", FailureClass::retry},          // shutdown, crash, statement_timeout
    Entry{"58", FailureClass::retry},          // I/O
    Entry{"F0", FailureClass::configuration},
    Entry{"HV", FailureClass::retry},  // a trigger's foreign server
    Entry{"P0", FailureClass::row},    // RAISE in a trigger
    Entry{"PS001", FailureClass::fenced},
    Entry{"XX", FailureClass::retry},  // internal error, corruption: never the row's fault for sure
};

struct Reason {
  std::string_view sqlstate;
  std::string_view name;
};

constexpr std::array kReasons{
    Reason{"08P01", "invalid_binary_representation"},
    Reason{"22000", "data_exception"},
    Reason{"22001", "string_too_long"},
    Reason{"22003", "numeric_value_out_of_range"},
    Reason{"22007", "invalid_datetime"},
    Reason{"22008", "datetime_out_of_range"},
    Reason{"22021", "invalid_encoding"},
    Reason{"22P02", "invalid_text_representation"},
    Reason{"22P03", "invalid_binary_representation"},
    Reason{"22P05", "untranslatable_character"},
    Reason{"23502", "not_null_violation"},
    Reason{"23503", "foreign_key_violation"},
    Reason{"23505", "unique_violation"},
    Reason{"23514", "check_violation"},
    Reason{"23P01", "exclusion_violation"},
    Reason{"25P04", "too_slow"},
    Reason{"40001", "serialization_failure"},
    Reason{"40P01", "deadlock_detected"},
    Reason{"42601", "syntax_error"},
    Reason{"42704", "undefined_object"},
    Reason{"42883", "undefined_object"},
    Reason{"42P01", "undefined_object"},
    Reason{"44000", "with_check_option_violation"},
    Reason{"53200", "out_of_memory"},
    Reason{"54000", "row_too_big"},
    Reason{"54001", "too_complex"},
    Reason{"57014", "too_slow"},
    Reason{"P0001", "raised_by_trigger"},
};

}  // namespace

FailureClass classify(std::string_view sqlstate) {
  if (sqlstate.empty()) return FailureClass::retry;
  const Entry* best = nullptr;
  for (const Entry& entry : kTable) {
    if (sqlstate.starts_with(entry.prefix) &&
        (best == nullptr || entry.prefix.size() > best->prefix.size())) {
      best = &entry;
    }
  }
  return best != nullptr ? best->failure : FailureClass::unclear;
}

bool keeps_session(std::string_view sqlstate) {
  if (sqlstate.empty()) return false;
  if (waits_for_lock(sqlstate) || sqlstate == "57014") return true;
  // 0A: a cached plan that does not fit the table any more, among others.
  return classify(sqlstate) != FailureClass::retry && !sqlstate.starts_with("0A");
}

bool helps_to_halve(std::string_view sqlstate) {
  return sqlstate == "57014" || sqlstate == "25P04" || sqlstate == "53200";
}

namespace {

// The state of the transaction or of its session: of a statement in a trigger, what it did itself.
bool is_of_the_transaction(std::string_view sqlstate) {
  return sqlstate == "25001" || sqlstate.starts_with("26") || sqlstate.starts_with("34") ||
         sqlstate.starts_with("3B");
}

}  // namespace

bool may_be_a_rows(const Failure& failure) {
  if (failure.connection_lost || failure.failure == FailureClass::cancelled) return false;
  if (failure.raised) return true;
  const std::string_view state = failure.error.sqlstate;
  switch (failure.failure) {
    case FailureClass::row:
    case FailureClass::unclear:
    case FailureClass::retry_quickly:
      return true;
    case FailureClass::configuration:
      // Of our own statement it is the table's; of a trigger's, what it made of the row.
      return state != "2200H" && !inner_context(failure).empty();
    case FailureClass::retry:
      if (is_of_the_transaction(state)) return !inner_context(failure).empty();
      return state == "XX000" || state == "53400" ||
             (state.starts_with("55") && !waits_for_lock(state));
    case FailureClass::fenced:
    case FailureClass::cancelled:
      return false;
  }
  return false;
}

bool is_of_the_schema(const Failure& failure) {
  const std::string& state = failure.error.sqlstate;
  return failure.failure == FailureClass::configuration && !failure.raised &&
         state.starts_with("42") && state != "42501";
}

bool may_be_spoiled(const Failure& failure) {
  if (failure.failure == FailureClass::cancelled || failure.gave_up || failure.raised) return false;
  const std::string_view state = failure.error.sqlstate;
  // Who ends its own backend does so in a function, and an administrator mostly elsewhere.
  if (failure.connection_lost) {
    return state.empty() ||
           ((state == "57P01" || state == "XX000") && !inner_context(failure).empty());
  }
  if (state == "26000" || state == "25006" || state == "PS001") return true;
  return (state == "42501" || state == kSetsParameter) && inner_context(failure).empty();
}

// "unnamed portal parameter $2", in the language of the server, is the last line. Those of triggers
// and functions quote what has a $ in it.
std::optional<std::size_t> parameter_number(const Failure& failure) {
  const std::string_view context = failure.context;
  const std::string_view line = context.substr(context.rfind('\n') + 1);
  const std::size_t sign = line.find('$');
  if (sign == std::string_view::npos || line.contains('"')) return std::nullopt;
  std::size_t number = 0;
  const char* const end = line.data() + line.size();
  const auto [at, status] = std::from_chars(line.data() + sign + 1, end, number);
  if (status != std::errc() || (at != end && *at != ' ')) return std::nullopt;
  return number;
}

// With the text, or dots in its place: "unnamed portal parameter $2 = '...'".
bool is_of_text(const Failure& failure) {
  return parameter_number(failure) && failure.context.ends_with('\'');
}

FailureClass classify_of_text(std::string_view sqlstate) {
  const FailureClass plain = classify(sqlstate);
  const bool is_texts =
      plain == FailureClass::configuration || plain == FailureClass::unclear || sqlstate == "XX000";
  return is_texts ? FailureClass::row : plain;
}

std::string inner_context(const Failure& failure) {
  std::string_view context = failure.context;
  if (parameter_number(failure)) context = context.substr(0, context.rfind('\n') + 1);
  std::string result;
  for (const auto line : std::views::split(context, '\n')) {
    const std::string_view text(line.begin(), line.end());
    if (text.empty() || text.starts_with("COPY ")) continue;
    result += (result.empty() ? "" : "; ") + std::string(text);
  }
  return result;
}

bool waits_for_lock(std::string_view sqlstate) { return sqlstate == "55P03"; }

std::string_view limit_of(std::string_view sqlstate) {
  if (sqlstate == "57014") return "statement_timeout";
  if (sqlstate == "25P04") return "transaction_timeout";
  if (sqlstate == "55P03") return "lock_timeout";
  if (sqlstate == "25P03") return "idle_in_transaction_session_timeout";
  if (sqlstate == "57P05") return "idle_session_timeout";
  return {};
}

std::string limit_hint(std::string_view sqlstate) {
  const std::string name(limit_of(sqlstate));
  if (name.empty()) return {};
  return "the limit is " + name + ": Penstock's own, or a smaller one of the role or the database" +
         (sqlstate == "57014" ? ", if nobody has cancelled the statement" : "");
}

ErrorKind kind_of(FailureClass failure, std::string_view sqlstate) {
  switch (failure) {
    case FailureClass::retry:
    case FailureClass::retry_quickly:
      return ErrorKind::unavailable;
    case FailureClass::row:
    case FailureClass::unclear:
      return ErrorKind::data;
    case FailureClass::configuration:
      if (sqlstate == "42501" || sqlstate.starts_with("28")) return ErrorKind::permission_denied;
      if (sqlstate == "42P01" || sqlstate == "42703" || sqlstate == "42883" ||
          sqlstate.starts_with("3D") || sqlstate.starts_with("3F")) {
        return ErrorKind::not_found;
      }
      return ErrorKind::invalid_argument;
    case FailureClass::fenced:
      return ErrorKind::fenced;
    case FailureClass::cancelled:
      return ErrorKind::cancelled;
  }
  return ErrorKind::internal;
}

std::string_view refusal_reason(const Failure& failure) {
  const std::string_view state = failure.error.sqlstate;
  const bool is_timeout = helps_to_halve(state);
  if (failure.connection_lost && !is_timeout) return "connection_lost";
  if (may_be_spoiled(failure)) return "transaction_spoiled";
  const auto* const found = std::ranges::find(kReasons, state, &Reason::sqlstate);
  if (found == kReasons.end()) return "refused_by_postgresql";
  // What these names say is what PostgreSQL has found itself.
  const bool is_its_own = is_timeout || state.starts_with("54");
  if (is_its_own && failure.raised) return "raised_by_trigger";
  if (state == "54000" && !inner_context(failure).empty()) return "program_limit_exceeded";
  return found->name;
}

std::unexpected<Failure> failed(FailureClass failure, ErrorKind kind, std::string message,
                                std::string hint) {
  Failure value;
  value.failure = failure;
  value.error = Error{kind, std::move(message), std::move(hint), {}};
  return std::unexpected(std::move(value));
}

}  // namespace penstock::postgres
