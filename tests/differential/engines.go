package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"github.com/google/cel-go/ext"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// One expression with its inputs.
type question struct {
	tree   *node
	inputs map[string]ref.Val
}

// What cel-go says to a question, in the form of conformance cases.
type answer struct {
	refused string          // by the checker, and why
	typ     json.RawMessage // otherwise: what the checker deduces
	failed  string          // by the evaluation, and why
	value   json.RawMessage // otherwise; nothing: one that this form cannot say
}

func (a answer) String() string {
	of := " of type " + string(a.typ)
	switch {
	case a.refused != "":
		return "refused: " + a.refused
	case a.failed != "":
		return "error: " + a.failed + of
	case a.value == nil:
		return "a value that has no JSON form" + of
	default:
		return string(a.value) + of
	}
}

var environment = makeEnvironment()

func makeEnvironment() *cel.Env {
	options := []cel.EnvOption{
		cel.StdLib(), cel.OptionalTypes(), cel.CrossTypeNumericComparisons(true), cel.DefaultUTCTimeZone(true),
		cel.EnableErrorOnBadPresenceTest(true), cel.EnableIdentifierEscapeSyntax(),
		ext.Strings(ext.StringsValidateFormatCalls(false)), ext.Math(), ext.Lists(), ext.Sets(), ext.Encoders(), ext.Bindings(), ext.Regex(),
		ext.TwoVarComprehensions(),
	}
	for _, v := range globals {
		options = append(options, cel.Variable(v.name, celType(v.typ)))
	}
	return must(cel.NewEnv(options...))
}

func celType(typ string) *cel.Type {
	head, arguments := split(typ)
	switch head {
	case "list":
		return cel.ListType(celType(arguments[0]))
	case "map":
		return cel.MapType(celType(arguments[0]), celType(arguments[1]))
	default:
		return map[string]*cel.Type{
			"bool": cel.BoolType, "int": cel.IntType, "uint": cel.UintType, "double": cel.DoubleType,
			"string": cel.StringType, "bytes": cel.BytesType, "timestamp": cel.TimestampType,
			"duration": cel.DurationType, "dyn": cel.DynType,
		}[head]
	}
}

// ask returns cel-go's answer; false if it crashed.
func ask(q question) (a answer, ok bool) {
	defer func() {
		if problem := recover(); problem != nil {
			ok = false
		}
	}()
	ast, issues := environment.Compile(q.tree.String())
	if issues.Err() != nil {
		return answer{refused: issues.Err().Error()}, true
	}
	a.typ = must(marshal(must(types.TypeToProto(ast.OutputType()))))
	program, err := environment.Program(ast)
	if err != nil { // a regular expression that is constant and malformed
		a.failed = err.Error()
		return a, true
	}
	inputs := map[string]any{}
	for name, value := range q.inputs {
		inputs[name] = value
	}
	result, _, err := program.Eval(inputs)
	if err != nil && strings.Contains(err.Error(), "internal error: runtime error") {
		return a, false // a panic that cel-go caught, as of bytes for a key
	}
	if err != nil {
		a.failed = err.Error()
		return a, true
	}
	typed := strings.Contains(string(a.typ), "optional_type")
	if value, err := cel.ValueAsProto(result); err == nil && !typed && isSayable(result) {
		a.value, _ = marshal(value) // bytes that format() took for text have no JSON form either
	}
	return a, true
}

// isSayable tells whether conformance cases have a form for the value: nothing in it is an optional,
// or a map with keys of other types, which cel-go accepts.
func isSayable(value ref.Val) bool {
	switch v := value.(type) {
	case *types.Optional:
		return false
	case traits.Mapper:
		for it := v.Iterator(); it.HasNext() == types.True; {
			key := it.Next()
			switch key.(type) {
			case types.Bool, types.Int, types.Uint, types.String:
			default:
				return false
			}
			if !isSayable(v.Get(key)) {
				return false
			}
		}
	case traits.Lister:
		for it := v.Iterator(); it.HasNext() == types.True; {
			if !isSayable(it.Next()) {
				return false
			}
		}
	}
	return true
}

// asCases turns a question and its answer into conformance cases: that the checker accepts or
// refuses it, and what comes of it.
func asCases(id string, q question, a answer) []map[string]any {
	text := q.tree.String()
	declarations, bindings := []any{}, map[string]any{}
	for _, v := range globals {
		if !regexp.MustCompile(`\b` + regexp.QuoteMeta(v.name) + `\b`).MatchString(text) {
			continue
		}
		declarations = append(declarations, map[string]any{"name": v.name, "ident": map[string]any{
			"type": must(marshal(must(types.TypeToProto(celType(v.typ)))))}})
		bindings[v.name] = map[string]any{"value": must(marshal(must(cel.ValueAsProto(q.inputs[v.name]))))}
	}
	makeCase := func(suffix, key string, expectation any) map[string]any {
		return map[string]any{"id": id + suffix, "expr": text, "typeEnv": declarations, "bindings": bindings,
			key: expectation}
	}
	if a.refused != "" {
		check := makeCase("/check", "evalError", map[string]any{})
		check["checkOnly"] = true
		return []map[string]any{check}
	}
	check := makeCase("/check", "typedResult", map[string]any{"deducedType": a.typ})
	check["checkOnly"] = true
	switch {
	case a.failed != "":
		return []map[string]any{check, makeCase("/value", "evalError", map[string]any{})}
	case a.value == nil:
		return []map[string]any{check}
	default:
		return []map[string]any{check, makeCase("/value", "value", a.value)}
	}
}

// runCases gives cases to our engine's runner of conformance cases and returns, for those that do
// not hold, what came instead.
func runCases(runner string, cases []map[string]any) map[string]string {
	var input bytes.Buffer
	for _, c := range cases {
		input.Write(must(json.Marshal(c)))
		input.WriteByte('\n')
	}
	command := exec.Command(runner, "the cases")
	command.Stdin, command.Stderr = &input, os.Stderr
	output, err := command.Output()
	if err != nil && command.ProcessState.ExitCode() != 1 {
		giveUp("%s: %v", runner, err)
	}
	actual := map[string]string{}
	id := ""
	for line := range strings.Lines(string(output)) {
		if name, found := strings.CutPrefix(line, "FAILED "); found {
			id = strings.TrimSpace(name)
		} else if text, found := strings.CutPrefix(line, "  actual:     "); found {
			actual[id] = strings.TrimSuffix(text, "\n")
		}
	}
	return actual
}

// marshal writes a message; -0.0 with its point, without which it would be read as the integer 0.
func marshal(message proto.Message) (json.RawMessage, error) {
	text, err := protojson.Marshal(message)
	return bytes.ReplaceAll(text, []byte(":-0}"), []byte(":-0.0}")), err
}

func giveUp(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, "differential: "+format+"\n", arguments...)
	os.Exit(2)
}

func must[T any](value T, err error) T {
	if err != nil {
		giveUp("%v", err)
	}
	return value
}
