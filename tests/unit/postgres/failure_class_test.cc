#include "postgres/failure_class.h"

#include <gtest/gtest.h>

#include "postgres/connect_failure.h"

namespace penstock::postgres {
namespace {

TEST(FailureClass, SaysWhatToDoAboutEachClassOfSqlstates) {
  for (const char* state : {"", "08006", "08001", "25006", "26000", "53100", "53200", "53300",
                            "55006", "55P03", "57014", "57P01", "57P03", "58030", "XX000"}) {
    EXPECT_EQ(classify(state), FailureClass::retry) << state;
  }
  for (const char* state : {"40001", "40P01"}) {
    EXPECT_EQ(classify(state), FailureClass::retry_quickly) << state;
  }
  for (const char* state : {"08P01", "22001", "22003", "22P02", "23502", "23503", "23505", "23514",
                            "42601", "42622", "44000", "54000", "54001", "P0001"}) {
    EXPECT_EQ(classify(state), FailureClass::row) << state;
  }
  for (const char* state :
       {"0A000", "2200H", "28P01", "2BP01", "3D000", "3F000", "42501", "42703", "42804", "42P01"}) {
    EXPECT_EQ(classify(state), FailureClass::configuration) << state;
  }
  EXPECT_EQ(classify("PS001"), FailureClass::fenced);
}

TEST(FailureClass, ASqlstateThatIsSomeonesOwnIsUnclear) {
  EXPECT_EQ(classify("AB123"), FailureClass::unclear);
  EXPECT_EQ(classify("PS002"), FailureClass::unclear);
}

TEST(FailureClass, LooksForARowWhereverOneAloneMayRaiseIt) {
  const auto of = [](const std::string& state, const std::string& context, bool raised) {
    Failure failure;
    failure.error.sqlstate = state;
    failure.failure = classify(state);
    failure.context = context;
    failure.raised = raised;
    return may_be_a_rows(failure);
  };
  const std::string trigger = "PL/pgSQL function f() line 1 at SQL statement\nCOPY t, line 5";
  for (const char* state : {"23505", "21000", "ZZ999", "40001", "XX000", "53400", "55000"}) {
    EXPECT_TRUE(of(state, "", false)) << state;
  }
  for (const char* state : {"42P01", "42501", "0A000", "3F000"}) {
    EXPECT_FALSE(of(state, "", false)) << state << " of our own statement";
    EXPECT_FALSE(of(state, "COPY t, line 5", false)) << state << " of our own COPY";
    EXPECT_TRUE(of(state, trigger, false)) << state << " of a trigger's";
  }
  for (const char* state : {"08006", "2200H", "25006", "53100", "53300", "55P03", "57014", "57P01",
                            "58030", "HV000", "PS001", "XX001"}) {
    EXPECT_FALSE(of(state, trigger, false)) << state;
    EXPECT_TRUE(of(state, trigger, true)) << state << " as a trigger's author chose";
  }
  Failure lost;
  lost.raised = lost.connection_lost = true;
  EXPECT_FALSE(may_be_a_rows(lost));
}

TEST(FailureClass, ContextIsOnlyWhatTriggersAndFunctionsSay) {
  Failure failure;
  failure.context =
      "PL/pgSQL function f() line 1 at RAISE\nSQL statement \"x\"\nCOPY t, line 5, column a";
  EXPECT_EQ(inner_context(failure), "PL/pgSQL function f() line 1 at RAISE; SQL statement \"x\"");
  failure.context = "COPY t, line 5";
  EXPECT_EQ(inner_context(failure), "");
  failure.context = "JSON data, line 1: x\nunnamed portal parameter $2";
  EXPECT_EQ(inner_context(failure), "JSON data, line 1: x");
  failure.context = "unnamed portal parameter $12";
  EXPECT_EQ(inner_context(failure), "");
}

TEST(FailureClass, KnowsTheParameterThatCouldNotBeRead) {
  const auto number = [](std::string context) {
    Failure failure;
    failure.context = std::move(context);
    return parameter_number(failure);
  };
  EXPECT_EQ(number("unnamed portal parameter $12"), 12U);
  EXPECT_EQ(number("JSON data, line 1: $1\nParameter $3 des Portals ohne Namen"), 3U);
  EXPECT_EQ(number("x\nparamètre de portail non nommé $3"), 3U);
  for (const char* context : {"", "$", "COPY t, line 5, column a", "SQL statement \"SELECT $1\"",
                              "PL/pgSQL function f$1() line 3 at RAISE"}) {
    EXPECT_EQ(number(context), std::nullopt) << context;
  }
}

TEST(FailureClass, WhatAnInputFunctionSaysOfATextIsTheRowsFault) {
  Failure failure;
  failure.context = "unnamed portal parameter $2 = '...'";
  EXPECT_EQ(parameter_number(failure), 2U);
  EXPECT_TRUE(is_of_text(failure));
  EXPECT_EQ(inner_context(failure), "");
  failure.context = "JSON data, line 1: x\nunnamed portal parameter $12 = ''";
  EXPECT_TRUE(is_of_text(failure));
  EXPECT_EQ(inner_context(failure), "JSON data, line 1: x");
  for (const char* context : {"", "unnamed portal parameter $2", "SQL statement 'x'",
                              "PL/pgSQL function f$1('x') line 3 at RAISE"}) {
    failure.context = context;
    EXPECT_FALSE(is_of_text(failure)) << context;
  }
  EXPECT_EQ(classify_of_text("22P02"), FailureClass::row);
  EXPECT_EQ(classify_of_text("42P01"), FailureClass::row) << "no such regclass";
  EXPECT_EQ(classify_of_text("XX000"), FailureClass::row) << "an extension's";
  EXPECT_EQ(classify_of_text("AB123"), FailureClass::row);
  EXPECT_EQ(classify_of_text("53200"), FailureClass::retry);
  EXPECT_EQ(classify_of_text("57014"), FailureClass::retry);
  EXPECT_EQ(classify_of_text("40001"), FailureClass::retry_quickly);
}

TEST(FailureClass, KeepsTheSessionOnlyWhereItIsStillGood) {
  EXPECT_TRUE(keeps_session("40P01"));
  EXPECT_TRUE(keeps_session("55P03"));
  EXPECT_TRUE(keeps_session("57014"));
  EXPECT_FALSE(keeps_session("57P01"));
  EXPECT_FALSE(keeps_session("25006"));
  EXPECT_FALSE(keeps_session(""));
}

TEST(FailureClass, TellsPeopleWhatKindItIs) {
  EXPECT_EQ(kind_of(classify("42501"), "42501"), ErrorKind::permission_denied);
  EXPECT_EQ(kind_of(classify("28P01"), "28P01"), ErrorKind::permission_denied);
  EXPECT_EQ(kind_of(classify("42P01"), "42P01"), ErrorKind::not_found);
  EXPECT_EQ(kind_of(classify("3D000"), "3D000"), ErrorKind::not_found);
  EXPECT_EQ(kind_of(classify("42804"), "42804"), ErrorKind::invalid_argument);
  EXPECT_EQ(kind_of(classify("57P01"), "57P01"), ErrorKind::unavailable);
  EXPECT_EQ(kind_of(classify("23505"), "23505"), ErrorKind::data);
}

Failure failure_of(const std::string& sqlstate, const std::string& context = {}) {
  Failure made;
  made.error.sqlstate = sqlstate;
  made.failure = classify(sqlstate);
  made.context = context;
  return made;
}

TEST(FailureClass, NamesRefusalsShortAndStable) {
  EXPECT_EQ(refusal_reason(failure_of("23505")), "unique_violation");
  EXPECT_EQ(refusal_reason(failure_of("23001")), "refused_by_postgresql");
  EXPECT_EQ(refusal_reason(failure_of("57014")), "too_slow");
  EXPECT_EQ(refusal_reason(failure_of("54000")), "row_too_big");
}

TEST(FailureClass, DoesNotNameWhatATriggerRaisesAsIfPostgresqlHadFoundIt) {
  for (const std::string code : {"54000", "54001", "57014", "25P04", "53200"}) {
    Failure raised = failure_of(code);
    raised.raised = true;
    EXPECT_EQ(refusal_reason(raised), "raised_by_trigger") << code;
  }
  Failure chosen = failure_of("23505");
  chosen.raised = true;
  EXPECT_EQ(refusal_reason(chosen), "unique_violation");
  EXPECT_EQ(refusal_reason(failure_of("54000", "PL/pgSQL function act() line 1 at PERFORM")),
            "program_limit_exceeded");
  EXPECT_EQ(refusal_reason(failure_of("54000", "COPY t, line 1")), "row_too_big");
}

TEST(FailureClass, SuspectsARowOfTheEndOfItsSessionOnlyWhereAFunctionWasAtWork) {
  const std::string context = "PL/pgSQL function act() line 1 at PERFORM";
  for (const std::string code : {"57P01", "XX000"}) {
    Failure lost = failure_of(code, context);
    lost.connection_lost = true;
    EXPECT_TRUE(may_be_spoiled(lost)) << code;
    EXPECT_EQ(refusal_reason(lost), "connection_lost");
    lost.context = "COPY t, line 1";
    EXPECT_FALSE(may_be_spoiled(lost)) << code << ": somebody else ended it";
  }
  Failure silent = failure_of("");
  silent.connection_lost = true;
  EXPECT_TRUE(may_be_spoiled(silent));
  silent.gave_up = true;
  EXPECT_FALSE(may_be_spoiled(silent)) << "nobody answers";
  for (const std::string code : {"57P02", "57P03", "57P05", "25P03", "25P04", "53300"}) {
    Failure server = failure_of(code, context);
    server.connection_lost = true;
    EXPECT_FALSE(may_be_spoiled(server)) << code;
  }
}

TEST(FailureClass, SuspectsARowOfWhatItsSessionCannotDoAnyMore) {
  for (const std::string code : {"26000", "25006", "42501"}) {
    Failure failure = failure_of(code);
    EXPECT_TRUE(may_be_spoiled(failure)) << code;
    EXPECT_FALSE(may_be_a_rows(failure)) << code;
    failure.raised = true;
    EXPECT_FALSE(may_be_spoiled(failure)) << code;
  }
  EXPECT_FALSE(may_be_spoiled(failure_of("42P01")));
  EXPECT_TRUE(
      may_be_a_rows(failure_of("25001", "PL/pgSQL function act() line 1 at SQL statement")));
}

TEST(IsAnswer, IsWhatAServerSaysThatIsUp) {
  for (const std::string code :
       {"25006", "53300", "53100", "57014", "57P05", "25P03", "28P01", "28000", "3D000", "55P03"}) {
    EXPECT_TRUE(is_answer(code)) << code;
  }
  for (const std::string code : {"", "08006", "08001", "57P01", "57P02", "57P03"}) {
    EXPECT_FALSE(is_answer(code)) << code;
  }
}

TEST(ConnectFailure, OfAServerThatIsReadOnlyIsItsAnswer) {
  for (const char* words : {"connection to server at \"h\", port 5432 failed: session is read-only",
                            "connection to server at \"h\", port 5432 failed: server is in hot "
                            "standby mode"}) {
    const Failure failure = connect_failure(words);
    EXPECT_EQ(failure.error.sqlstate, "25006") << words;
    EXPECT_EQ(failure.error.kind, ErrorKind::unavailable) << "another may take over";
    EXPECT_TRUE(failure.error.hint.contains("name the primary")) << failure.error.hint;
  }
}

}  // namespace
}  // namespace penstock::postgres
