// Random values: our encoding against PostgreSQL's own reading of the same text.
//
// Both must accept the same texts, and then hold the same value. The seeds are fixed.
#include <gtest/gtest.h>

#include <array>
#include <charconv>
#include <cmath>
#include <functional>
#include <random>
#include <utility>
#include <vector>

#include "cel/arena.h"
#include "cel/json/number.h"
#include "compute/encode/field_writer.h"
#include "integration/compute/encoding_session.h"

namespace penstock::compute {
namespace {

using cel::Value;

const ColumnDescription kText = describe(ColumnType::text, "text");

struct Sample {
  std::string text;    // as PostgreSQL reads it
  cel::Value value{};  // as we encode it; views `text` if it is a string
};

class EncodeDifferential : public testing::Test {
 protected:
  void SetUp() override {
    // What PostgreSQL says of a text that it does not read as the type, as pg_input_error_info()
    // of PostgreSQL 16 and later.
    session.query(
        "CREATE FUNCTION pg_temp.refusal(text text, type text) RETURNS text LANGUAGE plpgsql AS "
        "$$BEGIN EXECUTE format('SELECT %L::%s', text, type); RETURN NULL; "
        "EXCEPTION WHEN data_exception THEN RETURN SQLERRM; END$$");
  }

  std::size_t below(std::size_t limit) {
    return std::uniform_int_distribution<std::size_t>(0, limit - 1)(random);
  }
  std::string digits(std::size_t count) {
    std::string text;
    while (text.size() < count) text += static_cast<char>('0' + below(10));
    return text;
  }

  // `cast`: SQL that turns the column `text` into what `v` must be, e.g. "text::numeric(5,2)".
  // `may_refuse_more`: PostgreSQL also takes what people hardly write.
  void compare(const ColumnDescription& column, const std::string& cast,
               const std::function<Sample()>& next, int count = 3000,
               bool may_refuse_more = false) {
    session.query("CREATE TEMP TABLE samples (text text, accepted boolean, v " + column.type_name +
                  ")");
    std::vector<std::string> texts(static_cast<std::size_t>(count));
    FieldBuffer buffer;
    int accepted = 0;
    for (std::string& text : texts) {
      Sample sample = next();
      text = std::move(sample.text);
      if (sample.value.is_null()) sample.value = Value::of_string(text);
      EncodeProblem problem;
      begin_tuple(buffer, 3);
      ASSERT_TRUE(encode_field(kText, Value::of_string(text), buffer, problem));
      const std::size_t flag = buffer.size();
      write_field(buffer, std::int8_t{1});
      if (encode_field(column, sample.value, buffer, problem)) {
        ++accepted;
      } else {
        *buffer.at(flag + 4) = 0;
        write_null(buffer);
      }
    }
    ASSERT_EQ(session.copy("samples", buffer.view()), "");
    const auto differences = session.query(
        "SELECT text, accepted, v::text, refusal FROM "
        "(SELECT *, pg_temp.refusal(text, '" +
        column.type_name + "') FROM samples) s WHERE " +
        (may_refuse_more ? "(accepted AND refusal IS NOT NULL)"
                         : "accepted IS DISTINCT FROM (refusal IS NULL)") +
        " OR CASE WHEN "
        "accepted AND refusal IS NULL THEN v::text IS DISTINCT FROM (" +
        cast + ")::text ELSE false END LIMIT 5");
    for (const auto& row : differences) {
      ADD_FAILURE() << column.type_name << " '" << row[0] << "': accepted=" << row[1]
                    << " value=" << row[2] << " PostgreSQL says: " << row[3];
    }
    // A comparison of nothing would be green as well.
    EXPECT_GT(accepted, count / 8) << column.type_name;
    session.query("DROP TABLE samples");
  }

  std::mt19937 random{20240229};
  EncodingSession session;
};

TEST_F(EncodeDifferential, NumericsFromText) {
  const auto next = [this] {
    Sample sample;
    if (below(2) == 0) sample.text += below(2) == 0 ? '-' : '+';
    sample.text += digits(below(below(10) == 0 ? 60 : 6));
    if (below(3) != 0) sample.text += "." + digits(below(8));
    if (below(4) == 0) sample.text += "e" + std::to_string(static_cast<int>(below(30)) - 15);
    if (below(50) == 0) sample.text = "NaN";
    if (below(50) == 0) sample.text = " " + sample.text + "  ";
    return sample;
  };
  compare(describe(ColumnType::numeric, "numeric"), "text::numeric", next);
  std::vector<std::pair<int, int>> types = {{5, 2}, {10, 0}, {3, 3}, {38, 10}, {1000, 5}};
  // A scale below 0 or above the precision is there since PostgreSQL 15.
  if (session.version() >= 150'000) types.insert(types.end(), {{4, -2}, {2, 6}});
  for (const auto& [precision, scale] : types) {
    ColumnDescription column =
        describe(ColumnType::numeric,
                 "numeric(" + std::to_string(precision) + "," + std::to_string(scale) + ")");
    column.numeric_precision = precision;
    column.numeric_scale = scale;
    compare(
        column, "text::" + column.type_name,
        [&] {
          Sample sample = next();
          // Mostly near the edge of what fits.
          if (below(2) == 0) {
            const int before = std::max(0, precision - scale - static_cast<int>(below(2)));
            sample.text = std::string(static_cast<std::size_t>(std::min(before, 50)), '9') + "." +
                          digits(below(10)) + (below(2) == 0 ? "9999995" : "");
            if (sample.text == ".") sample.text = "0.00";
          } else if (below(2) == 0) {
            sample.text = "0." + std::string(below(8), '0') + digits(1 + below(5));
          }
          return sample;
        },
        2000);
  }
}

TEST_F(EncodeDifferential, NumericsFromNumbers) {
  ColumnDescription column = describe(ColumnType::numeric, "numeric(20,4)");
  column.numeric_precision = 20;
  column.numeric_scale = 4;
  for (const ColumnDescription& type : {column, describe(ColumnType::numeric, "numeric")}) {
    compare(type, "text::" + type.type_name, [this] {
      Sample sample;
      if (below(2) == 0) {
        const auto number = static_cast<std::int64_t>(random() * random()) >> below(60);
        sample.value = Value::of_int(number);
        sample.text = std::to_string(number);
      } else {
        const double number =
            std::ldexp(static_cast<double>(random()) - 0x1p31, static_cast<int>(below(60)) - 40);
        std::array<char, 32> text;
        sample.text = {text.data(),
                       std::to_chars(text.data(), text.data() + text.size(), number).ptr};
        sample.value = Value::of_double(number);
      }
      return sample;
    });
  }
}

TEST_F(EncodeDifferential, Floats) {
  const auto next = [this] {
    std::uint64_t bits = std::uint64_t{random()} << 32 | random();
    // Half of them in the range of a real.
    if (below(2) == 0) bits = (bits & ~(0x7FFULL << 52)) | (std::uint64_t{850 + below(350)} << 52);
    double number = std::bit_cast<double>(bits);
    if (!std::isfinite(number)) number = 0;
    std::array<char, 32> text;
    Sample sample;
    sample.text = {text.data(), std::to_chars(text.data(), text.data() + text.size(), number).ptr};
    sample.value = Value::of_double(number);
    return sample;
  };
  compare(describe(ColumnType::float8, "double precision"), "text::float8", next);
  compare(describe(ColumnType::float4, "real"), "text::float8::real", next);
}

// As the reader makes them of a document's numbers.
TEST_F(EncodeDifferential, NumbersOfDocuments) {
  cel::Arena arena;
  const auto next = [this, &arena] {
    Sample sample;
    std::string whole = digits(1 + below(below(4) == 0 ? 45 : 18));
    whole.erase(0, std::min(whole.find_first_not_of('0'), whole.size() - 1));
    sample.text = (below(3) == 0 ? "-" : "") + whole;
    if (below(2) == 0) sample.text += "." + digits(1 + below(below(4) == 0 ? 45 : 12));
    if (below(4) == 0) {
      sample.text += (below(2) == 0 ? "e" : "E-") + std::to_string(below(below(3) == 0 ? 420 : 20));
    }
    const std::string_view text = sample.text;
    const char* const begin = arena.copy(sample.text + ",").data();
    const double real = cel::nearest_double(text);
    const cel::WholeNumber integer = cel::read_whole_number(text);
    if (text.find_first_of(".eE") == std::string_view::npos && integer.fits_int()) {
      sample.value = Value::of_int(integer.as_int(), begin);
    } else if (text.find_first_of(".eE") != std::string_view::npos && std::isfinite(real)) {
      sample.value = Value::of_double(real, begin);
    } else {
      sample.value = Value::of_json({begin, text.size()});
    }
    return sample;
  };
  ColumnDescription column = describe(ColumnType::numeric, "numeric(30,6)");
  column.numeric_precision = 30;
  column.numeric_scale = 6;
  compare(column, "text::numeric(30,6)", next);
  compare(describe(ColumnType::numeric, "numeric"), "text::numeric", next);
  compare(describe(ColumnType::float8, "double precision"), "text::float8", next);
  compare(describe(ColumnType::float4, "real"), "text::real", next);
  compare(describe(ColumnType::json, "json"), "text::json", next);
  compare(describe(ColumnType::jsonb, "jsonb"), "text::jsonb", next);
}

TEST_F(EncodeDifferential, Uuids) {
  compare(describe(ColumnType::uuid, "uuid"), "text::uuid", [this] {
    Sample sample;
    for (int i = 0; i < 32; ++i) {
      sample.text += "0123456789abcdefABCDEF"[below(22)];
      if (i % 4 == 3 && i < 31 && below(2) == 0) sample.text += '-';
    }
    if (below(3) == 0) sample.text = "{" + sample.text + "}";
    if (below(3) == 0) {
      const std::size_t at = below(sample.text.size());
      constexpr std::string_view kEdits = "-{}0g ";
      if (below(2) == 0) {
        sample.text.erase(at, 1);
      } else {
        sample.text.insert(at, 1, kEdits[below(kEdits.size())]);
      }
    }
    return sample;
  });
}

TEST_F(EncodeDifferential, Timestamps) {
  const auto two = [this](std::size_t from, std::size_t count) {
    const std::string number = std::to_string(from + below(count));
    return number.size() == 1 ? "0" + number : number;
  };
  const auto date = [this, &two] {
    std::string year = std::to_string(below(3) == 0 ? 1 + below(9999) : 1990 + below(50));
    year.insert(0, 4 - year.size(), '0');
    return year + "-" + two(1, 12) + "-" + two(1, below(4) == 0 ? 31 : 28);
  };
  const auto time = [this, &two, &date](bool offset) {
    Sample sample;
    sample.text = date() + (below(2) == 0 ? "T" : " ") + two(0, 25) + ":" + two(0, 60);
    if (below(4) != 0) {
      sample.text += ":" + two(0, 61);
      // Six digits at most: PostgreSQL rounds what is finer, we cut it off.
      if (below(2) == 0) sample.text += "." + digits(1 + below(6));
    }
    if (offset) {
      if (below(4) == 0) sample.text += ' ';
      constexpr std::string_view kZones[] = {"Z", "z", "UTC", "gmt"};
      if (below(2) == 0) {
        sample.text += kZones[below(4)];
      } else {
        sample.text += (below(2) == 0 ? "+" : "-") + two(0, 15);
        if (below(3) != 0) sample.text += (below(2) == 0 ? ":" : "") + two(0, 60);
      }
    }
    return sample;
  };
  compare(describe(ColumnType::timestamptz, "timestamptz"), "text::timestamptz",
          [&time] { return time(true); });
  compare(describe(ColumnType::timestamp, "timestamp"), "text::timestamp",
          [&time] { return time(false); });
  compare(describe(ColumnType::date, "date"), "text::date", [this, &date] {
    Sample sample;
    sample.text = date();
    if (below(3) == 0) std::erase(sample.text, '-');
    return sample;
  });
}

// Words in some order, with a mistake now and then.
TEST_F(EncodeDifferential, TimesOfDayAndIntervals) {
  const auto number = [this](std::size_t limit) { return std::to_string(below(limit)); };
  const auto two = [this, &number](std::size_t limit) {
    return (below(20) == 0 ? "" : "0") + number(limit);
  };
  const auto clock = [this, &number, &two](std::size_t hours) {
    std::string text = below(3) == 0 ? number(hours) : two(10);
    text += ":" + (below(2) == 0 ? number(62) : two(10));
    if (below(3) != 0) text += ":" + (below(2) == 0 ? number(62) : two(10));
    if (below(4) == 0) text += "." + digits(1 + below(6));
    return text;
  };
  const auto time = [&clock] {
    Sample sample;
    sample.text = clock(26);
    return sample;
  };
  const auto with_offset = [this, &time, &two] {
    Sample sample = time();
    if (below(4) == 0) sample.text += ' ';
    sample.text += below(3) == 0 ? "Z" : (below(2) == 0 ? "+" : "-") + two(10);
    if (below(3) == 0) sample.text += ":" + two(10);
    return sample;
  };
  compare(describe(ColumnType::time, "time"), "text::time", time, 3000, true);
  compare(describe(ColumnType::timetz, "timetz"), "text::timetz", with_offset, 3000, true);

  const auto interval = [this, &number, &clock] {
    constexpr std::string_view kUnits[] = {"years", "year", "y",      "months", "mon", "weeks", "w",
                                           "days",  "day",  "d",      "hours",  "h",   "min",   "m",
                                           "secs",  "s",    "second", "ms",     "us",  "hrs"};
    Sample sample;
    std::size_t unit = below(3) * 4;
    for (std::size_t left = 1 + below(4); left > 0; --left) {
      const bool is_clock = left == 1 && below(3) == 0;
      const bool is_signed = below(3) == 0;
      if (!sample.text.empty()) sample.text += ' ';
      if (is_signed) sample.text += below(2) == 0 ? "-" : "+";
      if (is_clock) {
        sample.text += clock(200);
        break;
      }
      sample.text += number(below(10) == 0 ? 100'000'000 : 100);
      const std::string_view name = kUnits[std::min(unit, std::size(kUnits) - 1)];
      // PostgreSQL rounds to a microsecond, we cut off.
      const bool has_fraction = below(6) == 0 && name != "ms" && name != "us";
      if (has_fraction) sample.text += "." + digits(1 + below(6));
      if (below(2) == 0) sample.text += ' ';
      sample.text += name;
      if (has_fraction && name.starts_with('s')) break;
      unit += 1 + below(5);
    }
    return sample;
  };
  const auto iso = [this, &number] {
    Sample sample{.text = "P"};
    for (const char c : std::string_view("YMWDTHMS")) {
      if (c != 'T' && below(2) == 0) continue;
      if (c == 'T' && below(4) == 0) break;
      if (c != 'T') sample.text += (below(6) == 0 ? "-" : "") + number(100);
      if (c == 'S' && below(2) == 0) sample.text += "." + digits(1 + below(6));
      sample.text += c;
    }
    return sample;
  };
  compare(describe(ColumnType::interval, "interval"), "text::interval", interval, 5000, true);
  compare(describe(ColumnType::interval, "interval"), "text::interval", iso, 3000, true);
}

TEST_F(EncodeDifferential, Addresses) {
  const auto edited = [this](std::string text) {
    constexpr std::string_view kEdits = ":./-0fg 1";
    if (below(4) == 0 && !text.empty()) {
      const std::size_t at = below(text.size());
      if (below(2) == 0) {
        text.erase(at, 1);
      } else {
        text.insert(at, 1, kEdits[below(kEdits.size())]);
      }
    }
    return Sample{.text = std::move(text)};
  };
  const auto v4 = [this] {
    std::string text;
    for (int i = 0; i < 4; ++i) {
      text += (i > 0 ? "." : "") + std::to_string(below(3) == 0 ? 0 : below(257));
    }
    return text;
  };
  const auto address = [this, &v4, &edited] {
    std::string text;
    const bool is_v6 = below(2) == 0;
    if (is_v6) {
      const std::size_t gap = below(9);
      for (std::size_t i = 0; i < 8; ++i) {
        if (i == gap) {
          i += below(8 - i);
          text += i == gap && gap == 0 ? "::" : ":";
          if (text == ":") text += ':';
          continue;
        }
        constexpr std::string_view kHex = "0123456789abcdefABCDEF";
        for (std::size_t digit = below(4) + 1; digit > 0; --digit) text += kHex[below(22)];
        if (i < 7) text += ':';
      }
      if (below(6) == 0) text = (below(2) == 0 ? "::ffff:" : "::") + v4();
    } else {
      text = v4();
    }
    if (below(2) == 0) text += "/" + std::to_string(below(is_v6 ? 130 : 34));
    return edited(std::move(text));
  };
  compare(describe(ColumnType::inet, "inet"), "text::inet", address, 5000, true);
  compare(
      describe(ColumnType::cidr, "cidr"), "text::cidr",
      [this, &address, &edited] {
        if (below(3) != 0) return address();
        const std::size_t bits = below(33);
        std::string text;
        for (std::size_t i = 0; i < 4; ++i) {
          const std::size_t kept = std::min<std::size_t>(bits > 8 * i ? bits - 8 * i : 0, 8);
          text += (i > 0 ? "." : "") + std::to_string(below(256) & (0xFF00U >> kept & 0xFFU));
        }
        return edited(text + "/" + std::to_string(bits));
      },
      5000, true);
  const auto mac = [this, &edited] {
    constexpr std::string_view kHex = "0123456789abcdefABCDEF";
    constexpr std::string_view kSeparators = ":-.";
    const std::size_t octets = below(4) == 0 ? 8 : 6;
    const std::size_t group = below(4);  // 0: none
    const char separator = kSeparators[below(3)];
    std::string text;
    for (std::size_t i = 0; i < octets; ++i) {
      if (group > 0 && i > 0 && i % group == 0) text += separator;
      text += kHex[below(22)];
      text += kHex[below(22)];
    }
    return edited(std::move(text));
  };
  compare(describe(ColumnType::macaddr, "macaddr"), "text::macaddr", mac, 3000, true);
  compare(describe(ColumnType::macaddr8, "macaddr8"), "text::macaddr8", mac, 3000, true);
}

TEST_F(EncodeDifferential, Integers) {
  compare(describe(ColumnType::int8, "bigint"), "text::int8", [this] {
    Sample sample;
    const auto number =
        static_cast<std::int64_t>(std::uint64_t{random()} << 32 | random()) >> below(64);
    sample.text = std::to_string(number);
    sample.value = Value::of_int(number);
    return sample;
  });
  for (const auto& [type, name] :
       {std::pair{ColumnType::int2, "smallint"}, {ColumnType::int4, "integer"}}) {
    compare(describe(type, name), std::string("text::") + name, [this] {
      Sample sample;
      const auto number =
          static_cast<std::int64_t>(std::uint64_t{random()} << 32 | random()) >> (30 + below(34));
      sample.text = std::to_string(number);
      sample.value = Value::of_int(number);
      return sample;
    });
  }
}

}  // namespace
}  // namespace penstock::compute
