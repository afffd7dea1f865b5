package main

// shrink returns the smallest disagreement that it finds by leaving out parts of the expression.
func shrink(runner string, d disagreement) disagreement {
	for {
		var questions []question
		for _, tree := range smaller(d.question.tree) {
			questions = append(questions, question{tree, d.question.inputs})
		}
		best := d
		for _, other := range disagreements(runner, questions, &tally{}) {
			if other.kind == d.kind && len(other.question.tree.String()) < len(best.question.tree.String()) {
				best = other
			}
		}
		if best.question.tree == d.question.tree {
			return d
		}
		d = best
	}
}

// The simplest literals of each type.
var simplest = map[string][]string{
	"bool": {"true", "false"}, "int": {"0", "1"}, "uint": {"0u", "1u"}, "double": {"0.0", "1.0"},
	"string": {"''", "'a'"}, "bytes": {"b''"}, "list": {"[]"}, "map": {"{}"}, "null": {"null"},
	"timestamp": {"timestamp(0)"}, "duration": {"duration('0s')"}, "optional": {"optional.none()"},
}

// smaller returns trees with one part less: a part in place of the whole, or a literal in place of a
// part. Not all of them are of the right type; those that are not do not fail the same way.
func smaller(tree *node) []*node {
	var results []*node
	results = append(results, tree.parts...)
	head, _ := split(tree.typ)
	for _, literal := range simplest[head] {
		if len(literal) < len(tree.form) || len(tree.parts) > 0 {
			results = append(results, &node{typ: tree.typ, form: literal})
		}
	}
	for i, part := range tree.parts {
		for _, other := range smaller(part) {
			parts := append([]*node{}, tree.parts...)
			parts[i] = other
			results = append(results, &node{tree.typ, tree.form, parts})
		}
	}
	return results
}
