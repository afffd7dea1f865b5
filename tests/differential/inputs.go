package main

import (
	"math"
	"time"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
)

// Values for the global variables, by type; the extremes among them.
var values = map[string][]any{
	"bool": {true, false},
	"int": {0, 1, -1, 2, 5, 42, 1000, math.MaxInt64, math.MinInt64, 1 << 53, 1<<53 + 1, math.MaxInt32,
		1704067200},
	"uint": {uint64(0), uint64(1), uint64(7), uint64(math.MaxUint64), uint64(1) << 63, uint64(1)<<53 + 1},
	"double": {0.0, math.Copysign(0, -1), 1.0, -1.5, 0.1, 2.5, 1e21, 1e-7, 123456.789, 1e100, math.MaxFloat64,
		math.SmallestNonzeroFloat64, math.NaN(), math.Inf(1), math.Inf(-1), -0x1p63, 100.0, 1e6,
		299792458.0, 0.000123},
	"string": {"", "a", "abc", "Ärger", "e\u0301", "😀x", "a,b", " \t x\u00a0", "12", "-3.5", "true", "%d", "0",
		"2024-05-06T07:08:09Z", "1h", "\x00", "\"'\\", "日本", "\U0010FFFF", "ǅ"},
	"bytes": {[]byte(""), []byte("abc"), []byte("\xff\xfe"), []byte("ü"), []byte("\x00")},
	"timestamp": {time.Unix(0, 0), time.Unix(1715000000, 123000000), time.Unix(-62135596800, 0),
		time.Unix(253402300799, 999999999), time.Unix(-1, 500000000), time.Unix(1709210096, 1000)},
	"duration": {time.Duration(0), time.Second, -time.Second, 90 * time.Minute, time.Duration(1),
		1500 * time.Millisecond,
		-1001 * time.Microsecond},
	"null": {nil},
}

// value returns a random value of a type.
func (g *generator) value(typ string, depth int) ref.Val {
	head, arguments := split(typ)
	switch head {
	case "list":
		items := []ref.Val{}
		for range g.Intn(4) {
			items = append(items, g.value(arguments[0], depth-1))
		}
		return types.DefaultTypeAdapter.NativeToValue(items)
	case "map":
		entries := map[ref.Val]ref.Val{}
		for range g.Intn(4) {
			key := g.value(arguments[0], 0)
			if arguments[0] == "string" {
				key = types.String(pick(g, []string{"a", "b", "", "ü"}))
			}
			entries[key] = g.value(arguments[1], depth-1)
		}
		return types.DefaultTypeAdapter.NativeToValue(entries)
	case "dyn":
		if depth <= 0 || g.chance(60) {
			return g.value(pick(g, append([]string{"null"}, scalars...)), 0)
		}
		return g.value(pick(g, []string{"list(dyn)", "map(string,dyn)", "list(int)", "map(int,string)"}), depth-1)
	default:
		return types.DefaultTypeAdapter.NativeToValue(pick(g, values[head]))
	}
}

// inputs returns values for all global variables.
func (g *generator) inputs() map[string]ref.Val {
	inputs := map[string]ref.Val{}
	for _, v := range globals {
		inputs[v.name] = g.value(v.typ, 3)
	}
	return inputs
}
