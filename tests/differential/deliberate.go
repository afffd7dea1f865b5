package main

import (
	"fmt"
	"regexp"
	"strings"
)

// A duration with more digits than a double holds, as text.
var longDuration = regexp.MustCompile(`[0-9]{7}\.[0-9]{6}`)

// Bytes that may not be UTF-8.
var invalidBytes = regexp.MustCompile(`\bb\b|b'\\|base64|x[12]`)

// isDeliberate tells whether an answer of ours that differs from cel-go's is meant to, because it is
// what the specification says or leaves open. Every reason has a case in
// tests/conformance/differential.jsonl with our answer.
func isDeliberate(q question, peer answer, ours, kind string) bool {
	text := q.tree.String()
	has := func(parts ...string) bool {
		for _, part := range parts {
			if strings.Contains(text, part) {
				return true
			}
		}
		return false
	}
	switch {
	// A key that a map literal has twice is an error. cel-go takes the last one, if keys of several
	// types stand between them.
	case strings.Contains(ours, "a map has the same key twice"):
		return true
	// Keys are of type bool, int, uint or string. cel-go takes any, if they are not all of one type.
	case strings.Contains(ours, "a map's key"):
		return true
	// Comparisons with NaN are false, as cel-go makes them too in later versions.
	case strings.Contains(peer.failed, "NaN values cannot be ordered"),
		strings.Contains(peer.failed, "no such overload: math.@m"):
		return true
	case peer.failed != "" && has(" < ", " <= ", " > ", " >= ", "math.least(", "math.greatest(") &&
		(has("(0.0 / 0.0)") || strings.Contains(fmt.Sprint(q.inputs), "NaN")):
		return true
	// What is not an optional has no or() and orValue(); in cel-go the value stands for itself.
	case strings.HasPrefix(ours, "error:") && has(".or(", ".orValue(") && has("dyn(", "null"):
		return true
	// Null has no field, and an optional lookup gets past it; in cel-go this is a setting.
	case peer.failed != "" && has(".?", "[?"):
		return true
	// A duration has no negative; in cel-go it has, but the checker does not know it.
	case strings.Contains(ours, "no such overload: -google.protobuf.Duration"):
		return true
	// The text of a duration is exact; cel-go's goes through a double.
	case kind == "value" && has("string(", "%s") &&
		(longDuration.Match(peer.value) || has("854775807s')", "854775808s')", ".000000001", "999999999Z")):
		return true
	// An int in place of a double is one in format(); cel-go prints an error within the text.
	case strings.Contains(string(peer.value), "%!"), strings.Contains(string(peer.value), "int64="),
		strings.Contains(string(peer.value), "!%"):
		return true
	// The milliseconds of a duration are those beyond the whole seconds; in cel-go all of it.
	case has(".getMilliseconds()"):
		return true
	// The zero value of a timestamp is 1970; in cel-go the year 1.
	case has("optional.ofNonZeroValue(") && has("timestamp(", "at"):
		return true
	// The greatest and the least duration are in range; cel-go takes them for an overflow when it adds
	// or subtracts them.
	case strings.Contains(peer.failed, "integer overflow") && has("854775808s')", "854775807s')"):
		return true
	// The C++ library lacks a sign in the offset that New York had before it had standard time.
	case has("'America/New_York'", "'EST'") && (has("0001-01-01") || strings.Contains(fmt.Sprint(q.inputs), "0001-01-01")):
		return true
	// Timestamps are as RFC 3339 has them; cel-go takes a comma for the point, and one digit.
	case has("30,5Z", "T1:02:03Z"):
		return true
	// Bytes that are not UTF-8 become text in format(); cel-go's text is invalid then.
	case has(".format(") && has("'%s'", "%s") && invalidBytes.MatchString(text):
		return true
	// A timestamp has no time zone; cel-go's text of it has the one that it was read with.
	case has("string(", "%s") && has("+23:59'", "+01:00'", "-01:00'"):
		return true
	// Numbers are decimal in texts; cel-go reads hexadecimal ones as doubles.
	case has("double('0x1p4')", "double('1_0')"):
		return true
	// There is no duration() of an int; in cel-go there is, and it fails.
	case strings.Contains(ours, "'duration' does not take (int)"):
		return true
	// There is no int() of a duration; cel-go's gives its nanoseconds.
	case strings.Contains(ours, "'int' does not take (duration)"),
		strings.Contains(ours, "int(google.protobuf.Duration)"):
		return true
	// A position is in the text or at its end; cel-go finds nothing beyond, and an empty text anywhere.
	case strings.Contains(ours, "index out of range: ") && has("ndexOf("):
		return true
	// A time zone's offset is of the form ±hh:mm; cel-go takes any two numbers.
	case has("'+99:99'", "'-0:30'"):
		return true
	// Base64 has no line breaks in it; cel-go skips them.
	case has(`base64.decode('YWJj\n')`):
		return true
	// A constant that is no regular expression is found when the expression is compiled.
	case strings.HasPrefix(ours, "does not compile: bad regular expression"):
		return true
	// Null and an optional make a list of optionals, for null can be one; in cel-go a list of null.
	case has("null") && kind == "check":
		return true
	// What has no type of its own, as an element of [], gets it from the first overload that takes it;
	// the engines try the methods of different types in a different order.
	case has("[]", "{}", "optional.none()") && (kind == "check" || strings.HasPrefix(ours, "does not compile")):
		return true
	// What a function makes of dyn is dyn; in cel-go it is open, and gets a type as above.
	case (kind == "check" && !strings.HasPrefix(ours, "does not compile") ||
		strings.Contains(peer.failed, "no such overload")) &&
		has(".value()", ".orValue(", ".distinct()", ".slice(", ".reverse()", ".unwrapOpt()", "optional.unwrap(",
			".sort", ".first()", ".last()", ".optMap(", ".optFlatMap(", ".flatten("):
		return true
	// An optional in an optional is one; cel-go takes it for what is in it.
	case kind == "value" && strings.Contains(ours, "optional."):
		return true
	}
	return false
}
