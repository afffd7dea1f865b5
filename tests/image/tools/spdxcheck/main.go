// Spdxcheck reads an SPDX 2.3 document (JSON) as a consumer would, with SPDX's own library: every value
// has its form, and every relationship is between elements of the document.
//
//	spdxcheck FILE
//
// Exit status: 0 it is so, 1 it is not, with why on stderr, 2 wrong usage.
package main

import (
	"fmt"
	"os"

	"github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx/v2/v2_3"
	"github.com/spdx/tools-golang/spdxlib"
)

func check(file string) error {
	stream, err := os.Open(file)
	if err != nil {
		return err
	}
	defer stream.Close()
	var document v2_3.Document
	if err := json.ReadInto(stream, &document); err != nil {
		return err
	}
	if document.SPDXVersion != v2_3.Version {
		return fmt.Errorf("it is %q, not %s", document.SPDXVersion, v2_3.Version)
	}
	return spdxlib.ValidateDocument(&document)
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: spdxcheck FILE")
		os.Exit(2)
	}
	if err := check(os.Args[1]); err != nil {
		fmt.Fprintf(os.Stderr, "spdxcheck: %s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}
