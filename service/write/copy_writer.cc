#include "write/copy_writer.h"

#include <charconv>
#include <utility>

namespace penstock::write {
namespace {

using namespace std::string_view_literals;

// PostgreSQL documentation, COPY, "Binary Format": signature, flags, length of the extension.
constexpr std::string_view kHeader = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0"sv;
constexpr std::string_view kTrailer = "\377\377"sv;
static_assert(kHeader.size() == 19);

// Small slices are gathered, so that each system call carries enough.
constexpr std::size_t kGather = std::size_t{32} << 10;

}  // namespace

std::optional<std::size_t> named_line(std::string_view context, std::string_view table) {
  const std::string begin = "COPY " + std::string(table);
  std::size_t at = context.find(begin);
  if (at == std::string_view::npos || (at > 0 && context[at - 1] != '\n')) return std::nullopt;
  at += begin.size();
  const std::size_t end = std::min(context.find_first_of(":\n", at), context.size());
  const std::size_t digits = context.find_first_of("0123456789", at);
  if (digits >= end) return std::nullopt;
  std::size_t line = 0;
  std::from_chars(context.data() + digits, context.data() + end, line);
  return line > 0 ? std::optional(line) : std::nullopt;
}

std::expected<void, CopyFailure> copy_rows(Session& session, std::span<const Slice> slices,
                                           const std::string& prologue) {
  postgres::Connection& connection = session.connection();
  std::string gathered;
  std::size_t first = 0;  // row number of the current COPY's first row
  const auto fail_in = [&](postgres::Failure& failure, const Slice& slice) {
    CopyFailure result{.failure = std::move(failure), .row = std::nullopt};
    const auto line =
        named_line(result.failure.context, session.options().tables[slice.rows->table].name);
    if (line) result.row = first + *line - 1;
    return std::unexpected(std::move(result));
  };

  for (std::size_t i = 0; i < slices.size(); ++i) {
    const Slice& slice = slices[i];
    if (i == 0 || !slice.joins(slices[i - 1])) {
      first = slice.number;
      const std::string sql = (i == 0 ? prologue : std::string()) + session.copy_statement(slice);
      if (auto begun = connection.begin_copy(sql); !begun) return fail_in(begun.error(), slice);
      gathered = kHeader;
    }
    const std::string_view bytes = slice.bytes();
    if (bytes.size() < kGather) gathered += bytes;
    if (gathered.size() >= kGather || bytes.size() >= kGather) {
      if (auto put = connection.put_copy(gathered); !put) return fail_in(put.error(), slice);
      gathered.clear();
    }
    if (bytes.size() >= kGather) {
      if (auto put = connection.put_copy(bytes); !put) return fail_in(put.error(), slice);
    }
    if (i + 1 == slices.size() || !slices[i + 1].joins(slice)) {
      gathered += kTrailer;
      if (auto put = connection.put_copy(gathered); !put) return fail_in(put.error(), slice);
      if (auto ended = connection.end_copy(); !ended) return fail_in(ended.error(), slice);
    }
  }
  return {};
}

}  // namespace penstock::write
