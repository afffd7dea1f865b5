package main

import (
	"fmt"
	"math/rand"
	"slices"
	"strings"
)

// A part of an expression; as text, its form with the parts in place of each $.
type node struct {
	typ   string
	form  string
	parts []*node
}

func (n *node) String() string {
	var text strings.Builder
	rest := n.form
	for _, part := range n.parts {
		before, after, _ := strings.Cut(rest, "$")
		text.WriteString(before + part.String())
		rest = after
	}
	return text.String() + rest
}

// Makes random expressions. A type is written as in the grammar: "map(string,list(int))".
type generator struct {
	*rand.Rand
	scope []variable // innermost last
	left  int        // parts that the expression may still have
}

type variable struct {
	name, typ string
}

const (
	deepest = 6
	largest = 40
)

// What the host declares; see inputs.go for their values.
var globals = []variable{
	{"i", "int"}, {"j", "int"}, {"u", "uint"}, {"d", "double"}, {"e", "double"}, {"s", "string"},
	{"t", "string"}, {"b", "bytes"}, {"p", "bool"}, {"at", "timestamp"}, {"took", "duration"},
	{"li", "list(int)"}, {"ls", "list(string)"}, {"ld", "list(double)"}, {"lx", "list(dyn)"},
	{"ms", "map(string,string)"}, {"mi", "map(string,int)"}, {"mx", "map(string,dyn)"},
	{"mk", "map(int,string)"}, {"mm", "map(string,map(string,int))"}, {"x1", "dyn"}, {"x2", "dyn"},
	{"a.b.c", "int"}, {"a.b.s", "string"},
}

// expression makes a whole one. Its type is one that the form of conformance cases can say.
func (g *generator) expression() *node {
	g.scope = append([]variable{}, globals...)
	g.left = largest
	typ := g.anyType(2)
	root := g.make(typ, 2+g.Intn(deepest-1))
	if strings.HasPrefix(typ, "optional(") {
		root = &node{typ: "list(" + typ[len("optional("):], form: "[?$]", parts: []*node{root}}
	}
	return root
}

func (g *generator) chance(percent int) bool { return g.Intn(100) < percent }

func pick[T any](g *generator, from []T) T { return from[g.Intn(len(from))] }

func (g *generator) anyType(depth int) string {
	if depth == 0 || g.chance(60) {
		return pick(g, scalars)
	}
	switch g.Intn(8) {
	case 0, 1, 2:
		return "list(" + g.anyType(depth-1) + ")"
	case 3, 4:
		return "map(" + pick(g, keys) + "," + g.anyType(depth-1) + ")"
	case 5:
		return "optional(" + g.anyType(0) + ")"
	case 6:
		return "null"
	default:
		return "dyn"
	}
}

// make returns an expression of a type, or now and then of another one.
func (g *generator) make(typ string, depth int) *node {
	g.left--
	switch {
	case typ == "NUMBER":
		typ = pick(g, numbers)
	case literals[typ] != nil && kindOf[typ] != "": // a name in capitals
		if typ == "COUNT" || g.chance(80) {
			return &node{typ: kindOf[typ], form: g.literal(typ)}
		}
		typ = kindOf[typ]
	}
	if g.chance(1) {
		typ = pick(g, scalars) // a mistake, for the checker to find
	}
	if g.chance(4) {
		return &node{typ: typ, form: "dyn($)", parts: []*node{g.make(typ, depth-1)}}
	}
	if g.chance(1) { // a mistake for the evaluation to find
		return &node{typ: typ, form: "dyn($)", parts: []*node{g.make(pick(g, scalars), depth-1)}}
	}
	if depth <= 0 || g.left <= 0 || g.chance(12) {
		return g.leaf(typ)
	}
	if typ == "dyn" && g.chance(70) {
		return g.make(g.anyType(1), depth)
	}
	return g.fromRow(typ, depth)
}

func (g *generator) literal(typ string) string {
	all := literals[typ]
	if g.chance(50) {
		return pick(g, all[:min(4, len(all))])
	}
	return pick(g, all)
}

// leaf returns a variable or a literal.
func (g *generator) leaf(typ string) *node {
	var names []string
	seen := map[string]bool{}
	for i := len(g.scope) - 1; i >= 0; i-- {
		if v := g.scope[i]; !seen[v.name] {
			seen[v.name] = true
			if v.typ == typ {
				names = append(names, v.name)
			}
		}
	}
	if len(names) > 0 && g.chance(60) {
		return &node{typ: typ, form: pick(g, names)}
	}
	head, arguments := split(typ)
	few := func(brackets, item string) *node {
		n := &node{typ: typ}
		var items []string
		for number := 0; number < 3 && !g.chance(10+30*number); number++ {
			if len(arguments) == 2 { // one key after the other, none twice
				keys := literals[arguments[0]]
				n.parts = append(n.parts, &node{typ: arguments[0], form: keys[number%len(keys)]})
			}
			n.parts = append(n.parts, g.make(arguments[len(arguments)-1], 0))
			items = append(items, item)
			if len(items) == len(literals[arguments[0]]) {
				break // bool has two
			}
		}
		n.form = brackets[:1] + strings.Join(items, ", ") + brackets[1:]
		return n
	}
	switch head {
	case "list":
		return few("[]", "$")
	case "map":
		return few("{}", "$: $")
	case "optional":
		return &node{typ: typ, form: "optional.of($)", parts: []*node{g.make(arguments[0], 0)}}
	case "dyn":
		return g.leaf(g.anyType(0))
	default:
		return &node{typ: typ, form: g.literal(typ)}
	}
}

// fromRow applies one of the grammar's rows that make the type.
func (g *generator) fromRow(typ string, depth int) *node {
	type choice struct {
		row
		types map[string]string
	}
	var choices []choice
	for _, r := range grammar {
		types := map[string]string{}
		if match(r.result, typ, types) && !strings.HasPrefix(types["T"], "optional(") {
			choices = append(choices, choice{r, types})
		}
	}
	if len(choices) == 0 {
		return g.leaf(typ)
	}
	chosen := pick(g, choices)
	if chosen.form == "FORMAT" {
		return g.format(depth)
	}
	for _, part := range strings.Fields(chosen.parts) {
		if strings.Contains(g.substitute(part, chosen.types), "optional(optional(") {
			return g.leaf(typ) // cel-go takes them for optionals of the inner value
		}
	}
	result := &node{typ: typ, form: strings.Replace(chosen.form, "TYPE", pick(g, literals["TYPE"]), 1)}
	outer := len(g.scope)
	variables := strings.Fields(chosen.variables)
	for i, part := range strings.Fields(chosen.parts) {
		if i == 1 {
			for number, t := range variables {
				name := pick(g, []string{"x", "y", "z", "i"})
				if number == 1 {
					name = pick(g, []string{"v", "w"})
				}
				g.scope = append(g.scope, variable{name, g.substitute(t, chosen.types)})
				result.form = strings.ReplaceAll(result.form, fmt.Sprintf("@%d", number+1), name)
			}
		}
		result.parts = append(result.parts, g.make(g.substitute(part, chosen.types), depth-1))
	}
	g.scope = g.scope[:outer]
	return result
}

// split takes "map(int,string)" apart: "map", ["int", "string"].
func split(typ string) (head string, arguments []string) {
	head, rest, found := strings.Cut(typ, "(")
	if !found {
		return typ, nil
	}
	nesting, start := 0, 0
	rest = rest[:len(rest)-1]
	for i, c := range rest {
		switch c {
		case '(':
			nesting++
		case ')':
			nesting--
		case ',':
			if nesting == 0 {
				arguments = append(arguments, rest[start:i])
				start = i + 1
			}
		}
	}
	return head, append(arguments, rest[start:])
}

// match tells whether a pattern with capital letters makes the type, and notes what they stand for.
func match(pattern, typ string, types map[string]string) bool {
	switch pattern {
	case "T", "U":
	case "K":
		if !slices.Contains(keys, typ) {
			return false
		}
	case "N":
		if !slices.Contains(numbers, typ) {
			return false
		}
	case "O":
		if !slices.Contains(scalars, typ) {
			return false
		}
	default:
		head, arguments := split(pattern)
		typeHead, typeArguments := split(typ)
		if head != typeHead || len(arguments) != len(typeArguments) {
			return false
		}
		for i := range arguments {
			if !match(arguments[i], typeArguments[i], types) {
				return false
			}
		}
		return true
	}
	types[pattern] = typ
	return true
}

// substitute replaces capital letters by the types chosen for them, and chooses those that are new.
func (g *generator) substitute(pattern string, types map[string]string) string {
	head, arguments := split(pattern)
	if len(arguments) > 0 {
		for i := range arguments {
			arguments[i] = g.substitute(arguments[i], types)
		}
		return head + "(" + strings.Join(arguments, ",") + ")"
	}
	if len(pattern) > 1 {
		return pattern
	}
	if types[pattern] == "" {
		switch pattern {
		case "K":
			types[pattern] = pick(g, keys)
		case "N":
			types[pattern] = pick(g, numbers)
		case "O":
			types[pattern] = pick(g, scalars)
		default:
			types[pattern] = g.anyType(1)
		}
	}
	return types[pattern]
}
