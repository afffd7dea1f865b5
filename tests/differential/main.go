// The differential test: random expressions with random inputs, evaluated by cel-go and by our
// engine, which must agree: both refuse an expression when it is checked, or both deduce the same
// type; both fail, or both give the same value.
//
//	differential --runner penstock_conformance [--count N] [--seed S]
//
// cel-go's answers become conformance cases, which our runner of such cases checks in bulk, so that
// what is found here can stand among our cases as it is. What disagrees is made smaller, then
// printed with both answers. Ends with "N passed, N failed", and with status 1 if any failed.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand"
	"os"
	"strconv"
	"strings"
)

const bulk = 2000

func main() {
	runner := flag.String("runner", "", "our program penstock_conformance")
	count := flag.Int("count", 100_000, "how many expressions")
	seed := flag.Int64("seed", 1, "where the random numbers start")
	shown := flag.Int("show", 10, "how many failures to make smaller and print")
	flag.Parse()
	if *runner == "" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	g := &generator{Rand: rand.New(rand.NewSource(*seed))}
	passed, failed := 0, 0
	var tally tally
	seen := map[string]bool{}
	for passed+failed < *count {
		questions := make([]question, 0, bulk)
		for range min(bulk, *count-passed-failed) {
			questions = append(questions, question{g.expression(), g.inputs()})
		}
		disagreeing := disagreements(*runner, questions, &tally)
		failed += len(disagreeing)
		passed += len(questions) - len(disagreeing)
		for _, d := range disagreeing {
			if len(seen) < *shown {
				d = shrink(*runner, d)
				if text := d.question.tree.String(); !seen[text] {
					seen[text] = true
					d.print()
				}
			}
		}
	}
	fmt.Println(tally)
	fmt.Printf("%d passed, %d failed\n", passed, failed)
	if failed > 0 {
		os.Exit(1)
	}
}

// What the expressions were like, for a test that only makes mistakes tests nothing.
type tally struct{ refused, failed, values, crashed int }

func (t tally) String() string {
	return fmt.Sprintf("%d gave a value, %d an error, %d were refused by the checker, %d crashed cel-go",
		t.values, t.failed, t.refused, t.crashed)
}

// A question to which the engines have different answers.
type disagreement struct {
	question question
	peer     answer
	kind     string // "check" or "value"
	ours     string
}

func (d disagreement) print() {
	for _, c := range asCases("case", d.question, d.peer) {
		if strings.HasSuffix(c["id"].(string), d.kind) {
			fmt.Printf("FAILED %s: %s\n  cel-go: %s\n  ours:   %s\n  case:   %s\n", d.kind, d.question.tree,
				strings.ReplaceAll(d.peer.String(), "\n", "\n          "), d.ours, must(json.Marshal(c)))
		}
	}
}

// disagreements returns those among the questions to which the answers differ.
func disagreements(runner string, questions []question, t *tally) []disagreement {
	var cases []map[string]any
	answers := make([]answer, len(questions))
	for i, q := range questions {
		a, ok := ask(q)
		answers[i] = a
		switch {
		case !ok:
			t.crashed++
			continue
		case a.refused != "":
			t.refused++
		case a.failed != "":
			t.failed++
		default:
			t.values++
		}
		cases = append(cases, asCases(strconv.Itoa(i), q, a)...)
	}
	ours := runCases(runner, cases)
	var found []disagreement
	for i, q := range questions {
		for _, kind := range []string{"check", "value"} {
			if actual, failed := ours[fmt.Sprintf("%d/%s", i, kind)]; failed && !isDeliberate(q, answers[i], actual, kind) {
				found = append(found, disagreement{q, answers[i], kind, actual})
				break
			}
		}
	}
	return found
}
