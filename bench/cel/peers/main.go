// What one evaluation of the engines that Penstock is compared with costs: cel-go and expr.
//
//	peers CASES [FILTER]     one JSON object a line: {"engine", "name", "ns", "allocations"}
//
// Each engine is used as its documentation recommends for speed: declared types, a program compiled
// once, and whatever form of input is fastest for it. A case is expected to give its value; a case
// that does not ends the program with status 1.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"regexp"
	"runtime/debug"
	"testing"

	conformance "cel.dev/expr/conformance/test"
	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"
	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"github.com/google/cel-go/ext"
	"google.golang.org/protobuf/encoding/protojson"
)

type benchCase struct {
	id       string
	simple   *conformance.SimpleTest
	exprLang *string // nothing: expr has no such function
	inputs   map[string]ref.Val
	want     ref.Val
}

func main() {
	if len(os.Args) < 2 {
		giveUp("which cases? peers CASES [FILTER]")
	}
	filter := regexp.MustCompile("")
	if len(os.Args) > 2 {
		filter = regexp.MustCompile(os.Args[2])
	}
	// A collection per 4 MB, the default of a program that holds nothing, would be a handicap.
	debug.SetGCPercent(800)
	testing.Init()
	must(flag.Set("test.benchtime", "80ms"))
	for _, c := range readCases(os.Args[1]) {
		if !filter.MatchString(c.id) {
			continue
		}
		report("cel-go", c, celGo(c))
		if c.exprLang != nil {
			report("expr", c, exprLang(c))
		}
	}
}

// celGo returns one evaluation by cel-go.
func celGo(c benchCase) func() (any, error) {
	options := []cel.EnvOption{ext.Strings(), ext.Math(), cel.OptionalTypes()}
	for _, declaration := range c.simple.TypeEnv {
		options = append(options, must1(cel.ProtoAsDeclaration(declaration)))
	}
	env := must1(cel.NewEnv(options...))
	ast, issues := env.Compile(c.simple.Expr)
	must(issues.Err())
	program := must1(env.Program(ast, cel.EvalOptions(cel.OptOptimize)))
	inputs := map[string]any{}
	for name, value := range c.inputs {
		inputs[name] = value
	}
	// The two are the fastest form: values of cel-go's own types, so that none is converted, in an
	// activation that is made once.
	activation := must1(cel.NewActivation(inputs))
	return func() (any, error) {
		value, _, err := program.Eval(activation)
		return value, err
	}
}

// exprLang returns one evaluation by expr.
func exprLang(c benchCase) func() (any, error) {
	env := map[string]any{}
	for name, value := range c.inputs {
		env[name] = native(value)
	}
	program := must1(expr.Compile(*c.exprLang, expr.Env(env)))
	machine := vm.VM{}
	return func() (any, error) {
		return machine.Run(program, env)
	}
}

func report(engine string, c benchCase, evaluate func() (any, error)) {
	got, err := evaluate()
	if err != nil {
		giveUp("%s, %s: %v", engine, c.id, err)
	}
	if types.DefaultTypeAdapter.NativeToValue(got).Equal(c.want) != types.True {
		giveUp("%s, %s: %v instead of %v", engine, c.id, got, c.want)
	}
	result := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			if _, err := evaluate(); err != nil {
				b.Fatal(err)
			}
		}
	})
	fmt.Printf("{\"engine\": %q, \"name\": %q, \"ns\": %.2f, \"allocations\": %.3f}\n", engine, c.id,
		float64(result.T.Nanoseconds())/float64(result.N), float64(result.MemAllocs)/float64(result.N))
}

// native returns a value as a Go program holds it, with the most precise type.
func native(value ref.Val) any {
	switch v := value.(type) {
	case types.Int:
		return int(v)
	case traits.Lister:
		return nativeList(v)
	case traits.Mapper:
		return nativeMap(v)
	default:
		return v.Value()
	}
}

func nativeList(list traits.Lister) any {
	var ints []int
	var strings []string
	var all []any
	for it := list.Iterator(); it.HasNext() == types.True; {
		item := native(it.Next())
		all = append(all, item)
		switch i := item.(type) {
		case int:
			ints = append(ints, i)
		case string:
			strings = append(strings, i)
		}
	}
	switch len(all) {
	case len(ints):
		return ints
	case len(strings):
		return strings
	default:
		return all
	}
}

func nativeMap(m traits.Mapper) any {
	strings := map[string]string{}
	all := map[string]any{}
	for it := m.Iterator(); it.HasNext() == types.True; {
		key := it.Next()
		item := native(m.Get(key))
		all[string(key.(types.String))] = item
		if s, ok := item.(string); ok {
			strings[string(key.(types.String))] = s
		}
	}
	if len(all) == len(strings) {
		return strings
	}
	return all
}

func readCases(path string) []benchCase {
	file := must1(os.Open(path))
	defer file.Close()
	var cases []benchCase
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		// What the conformance form does not have.
		var more struct {
			ID       string          `json:"id"`
			ExprLang json.RawMessage `json:"exprLang"`
		}
		must(json.Unmarshal(lines.Bytes(), &more))
		c := benchCase{id: more.ID, simple: &conformance.SimpleTest{}, inputs: map[string]ref.Val{}}
		must(protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(lines.Bytes(), c.simple))
		if more.ExprLang == nil {
			c.exprLang = &c.simple.Expr
		} else {
			must(json.Unmarshal(more.ExprLang, &c.exprLang))
		}
		for name, value := range c.simple.Bindings {
			c.inputs[name] = must1(cel.ProtoAsValue(types.DefaultTypeAdapter, value.GetValue()))
		}
		c.want = must1(cel.ProtoAsValue(types.DefaultTypeAdapter, c.simple.GetValue()))
		cases = append(cases, c)
	}
	must(lines.Err())
	return cases
}

func giveUp(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "peers: "+format+"\n", args...)
	os.Exit(1)
}

func must(err error) {
	if err != nil {
		giveUp("%v", err)
	}
}

func must1[T any](value T, err error) T {
	must(err)
	return value
}
