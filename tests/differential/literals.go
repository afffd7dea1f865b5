package main

import "strings"

// Literals by type, the extremes among them; and, in capitals, texts and numbers for the functions
// that would refuse most others. The first four of each are the plain ones.
var literals = map[string][]string{
	"null": {"null"},
	"bool": {"true", "false"},
	"int": {"1", "2", "7", "0", "-1", "42", "1000000007", "2147483648", "9223372036854775807",
		"-9223372036854775808", "-9223372036854775807", "9007199254740993", "0x10", "253402300799",
		"-62135596800"},
	"uint": {"1u", "2u", "42u", "0u", "18446744073709551615u", "9223372036854775808u",
		"9007199254740993u", "0xFFu"},
	"double": {"1.0", "0.5", "2.5", "0.1", "0.0", "-0.0", "-1.0", "1.5", "-2.5", "3.0e0", "1e21", "1e20",
		"123456789.0", "1234567.0", "1e6", "1e-4", "1e-5", "0.00001234", "1e-7", "100000.0", "1e15", "1e16",
		"1e17", "9007199254740993.0", "9223372036854775807.0", "-9223372036854775808.0",
		"18446744073709551615.0", "1.7976931348623157e308", "5e-324", "2.2250738585072014e-308", "1e300",
		"-1e300", "(0.0 / 0.0)", "(1.0 / 0.0)", "(-1.0 / 0.0)", "0.30000000000000004", "3.141592653589793"},
	"string": {"'a'", "'b'", "'abc'", "'aXbXc'", "''", "'ABC'", "'Ünïcödé'", "'e\\u0301'", "'😀'",
		"'a😀b😀'", "'日本語'", "'ß'", "' x '", "'\\u00a0x\\u2003'", "'\\n\\t'", "'\"q\"'", "'\\\\'", "'it\\'s'",
		"'0'", "'1'", "'%'", "'%s'", "'\\u0000'", "'\\u200bz'", "'\\a\\b\\f\\v\\r'", "r'\\d'",
		"'''triple'''", "'i̇İ'", "'a,b,,c'", "','", "'\\U0010FFFF'", "'\\ufeff'"},
	"bytes": {"b'abc'", "b''", "b'\\x00\\xff'", "b'\\xc3\\x28'", "b'\\303\\274'", "b'ü'", "b'😀'",
		"b'\\xf0\\x9f'"},
	"timestamp": {"timestamp('1970-01-01T00:00:00Z')", "timestamp('2009-02-13T23:31:30Z')",
		"timestamp('2024-02-29T12:34:56.789Z')", "timestamp('2024-10-27T00:30:00.1Z')",
		"timestamp('0001-01-01T00:00:00Z')", "timestamp('9999-12-31T23:59:59.999999999Z')",
		"timestamp('1969-12-31T23:59:59.5Z')", "timestamp('2024-03-10T09:59:59.000001Z')",
		"timestamp('1883-11-18T17:00:00Z')", "timestamp('2038-01-19T03:14:08.000000001Z')"},
	"duration": {"duration('1s')", "duration('1h30m')", "duration('1.5s')", "duration('36h')",
		"duration('0s')", "duration('-1s')", "duration('-1.000000001s')", "duration('1ns')",
		"duration('-1ns')", "duration('1us')", "duration('999ms')", "duration('1000ms')",
		"duration('100000h')", "duration('2562047h47m16.854775807s')",
		"duration('-2562047h47m16.854775808s')"},

	"INDEX": {"0", "1", "1", "2", "-1", "3", "5", "63", "64"},
	"COUNT": {"0", "1", "2", "-1"},
	"INTEGER_TEXT": {"'42'", "'0'", "'-0'", "'007'", "'+1'", "'-9223372036854775808'",
		"'9223372036854775808'", "'18446744073709551615'", "'18446744073709551616'", "'0x10'", "'1.0'",
		"' 1'", "'1e3'", "'1_000'", "''", "'-'", "'１'"},
	"NUMBER_TEXT": {"'1.5'", "'0'", "'-0'", "'1E5'", "'+1.5'", "'1e400'", "'-1e400'", "'1e-400'", "'NaN'",
		"'nan'", "'Infinity'", "'-Infinity'", "'inf'", "'+Inf'", "'0x1p4'", "'0x10'", "'1_0'", "'.5'",
		"'5.'", "''", "' 1'", "'1e'", "'179769313486231570000000000000000000000'"},
	"BOOL_TEXT": {"'true'", "'false'", "'TRUE'", "'True'", "'t'", "'1'", "'0'", "'F'", "'tRUE'", "'yes'",
		"'T'", "'f'", "'FALSE'", "'False'", "''"},
	"TIMESTAMP_TEXT": {"'2009-02-13T23:31:30Z'", "'2009-02-13T23:31:30.123456789Z'",
		"'2000-02-29T00:00:00Z'", "'2009-02-13T23:31:30+23:59'", "'2009-02-13t23:31:30z'",
		"'2009-02-13 23:31:30Z'", "'2009-02-13T24:00:00Z'",
		"'2009-02-13T23:31:60Z'", "'2009-02-29T00:00:00Z'", "'0000-01-01T00:00:00Z'",
		"'0001-01-01T00:00:00+01:00'", "'9999-12-31T23:59:59-01:00'", "'2009-02-13T23:31:30.1234567891Z'",
		"'2009-02-13T23:31:30,5Z'", "'2009-02-13T23:31:30'", "'2009-2-13T23:31:30Z'",
		"'2009-02-13T1:02:03Z'", "'2009-02-13T23:31:30.Z'", "'10000-01-01T00:00:00Z'",
		"'2009-02-13T23:31:30+0100'", "''"},
	"DURATION_TEXT": {"'1s'", "'-1s'", "'1.5h'", "'1h1m1s1ms1us1ns'", "'+1s'", "'.5s'", "'1.s'", "'1'",
		"'0'", "'-0'", "''", "'s'", "'1µs'", "'1μs'", "'1s1h'", "'1 s'", "'9223372036.854775807s'",
		"'9223372036.854775808s'", "'-9223372036.854775808s'", "'2562047h'", "'2562048h'", "'0.0000000001s'",
		"'1.0000000005s'", "'1d'", "'--1s'", "'1e3s'"},
	"ZONE": {"'UTC'", "'America/New_York'", "'Europe/Berlin'", "'Asia/Kolkata'", "'Asia/Kathmandu'", "'+02:00'",
		"'-08:30'", "'02:00'", "'-0:30'", "'+14:00'", "'Mars/Olympus'", "''", "'-00:30'", "'Australia/Lord_Howe'",
		"'GMT'", "'EST'", "'+99:99'", "'Z'"},
	"REGEX": {"'a'", "'^a.c$'", "'[A-Z]+'", "'(b)'", "'(a)(X)?'", "'(?i)ABC'", "'('", "'\\\\d+'", "'^$'",
		"'.'", "'b*'", "'(?P<x>b)'", "'\\\\p{L}+'", "'(?s).+'", "'a|b|c'", "'X'", "'[[:alpha:]]'",
		"'a{1001}'", "'(?<n>c)'", "'\\\\bX'", "'(?=a)'", "'\\\\C'"},
	"BASE64": {"'YWJj'", "'YQ=='", "'YQ'", "'/+8='", "''", "'YQ='", "'_-8='", "'Y Q=='", "'****'",
		"'YR=='", "'YWJj\\n'", "'w7w='"},
	"TYPE": {"int", "uint", "double", "string", "bytes", "bool", "list", "map", "null_type", "type",
		"google.protobuf.Timestamp", "google.protobuf.Duration", "optional_type"},
}

// What a name in capitals is a kind of. Any expression of that type may stand for it, but for COUNT.
var kindOf = map[string]string{
	"COUNT": "int",
	"INDEX": "int", "INTEGER_TEXT": "string", "NUMBER_TEXT": "string", "BOOL_TEXT": "string",
	"TIMESTAMP_TEXT": "string", "DURATION_TEXT": "string", "ZONE": "string", "REGEX": "string",
	"BASE64": "string",
}

var (
	scalars  = []string{"bool", "int", "uint", "double", "string", "bytes", "timestamp", "duration"}
	numbers  = []string{"int", "uint", "double"}
	keys     = []string{"string", "string", "int", "uint", "bool"}
	formVerb = []string{"%s", "%s", "%d", "%f", "%.3f", "%.0f", "%e", "%.2e", "%.0e", "%b", "%o", "%x", "%X", "%%",
		"%.20f", "%q", "%5d", "%", "%.f", "%1$d", "%c"}
)

// A call of format() with parts that mostly fit: every verb of the specification, and some others.
// The text is no literal, for of a literal cel-go's checker says what it will fail with.
func (g *generator) format(depth int) *node {
	var text strings.Builder
	var items []string
	var parts []*node
	for range 1 + g.Intn(3) {
		verb := pick(g, formVerb)
		text.WriteString(pick(g, []string{"", "<", "ü ", " "}) + verb)
		if verb == "%%" {
			continue
		}
		items = append(items, "$")
		parts = append(parts, g.make(g.suits(verb), depth-1))
	}
	form := "('' + '" + text.String() + "').format([" + strings.Join(items, ", ") + "])"
	return &node{typ: "string", form: form, parts: parts}
}

// A type that a verb of format() takes, most of the time.
func (g *generator) suits(verb string) string {
	if g.chance(10) {
		return g.anyType(1)
	}
	switch verb[len(verb)-1] {
	case 'd':
		return pick(g, []string{"int", "uint", "double"})
	case 'f', 'e':
		return "double"
	case 'b', 'o':
		return pick(g, []string{"int", "uint", "bool"})
	case 'x', 'X':
		return pick(g, []string{"int", "uint", "string", "bytes"})
	default:
		return g.anyType(2)
	}
}
