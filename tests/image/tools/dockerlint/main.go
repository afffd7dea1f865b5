// Dockerlint checks a Dockerfile with BuildKit's own rules, those of `docker build --check`.
//
//	dockerlint FILE
//
// Output: a line for each finding, "FILE:LINE: RULE: what". No registry is asked: what a stage begins
// with is taken for an image without any settings. Exit status: 0 nothing found, 1 something, 2 the
// file cannot be read.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"slices"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/subrequests/lint"
	"github.com/moby/buildkit/solver/pb"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// bareImages answers for every image that it has one layer and no settings.
type bareImages struct{}

func (bareImages) ResolveImageConfig(_ context.Context, ref string, opt sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	image := ocispecs.Image{
		Platform: ocispecs.Platform{OS: "linux", Architecture: runtime.GOARCH},
		RootFS:   ocispecs.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromString("a layer")}},
	}
	if opt.ImageOpt != nil && opt.ImageOpt.Platform != nil {
		image.Platform = *opt.ImageOpt.Platform
	}
	config, err := json.Marshal(image)
	return ref, digest.FromBytes(config), config, err
}

func main() {
	if len(os.Args) != 2 {
		fail("usage: dockerlint FILE")
	}
	file := os.Args[1]
	text, err := os.ReadFile(file)
	if err != nil {
		fail(err)
	}
	source := llb.NewSourceMap(nil, file, "Dockerfile", text)
	source.Definition = &llb.Definition{} // it comes from no build
	results, err := dockerfile2llb.DockerfileLint(context.Background(), text,
		dockerfile2llb.ConvertOpt{SourceMap: source, MetaResolver: bareImages{}})
	if err != nil {
		fail(err)
	}
	lines := findings(results)
	for _, finding := range lines {
		fmt.Printf("%s:%d: %s\n", file, finding.line, finding.what)
	}
	if len(lines) > 0 {
		os.Exit(1)
	}
}

type finding struct {
	line int32
	what string
}

func findings(results *lint.LintResults) []finding {
	var all []finding
	for _, warning := range results.Warnings {
		all = append(all, finding{line(warning.Location), warning.RuleName + ": " + warning.Detail})
	}
	if results.Error != nil { // it cannot even be built
		all = append(all, finding{line(&results.Error.Location), results.Error.Message})
	}
	slices.SortStableFunc(all, func(a, b finding) int { return int(a.line - b.line) })
	return all
}

func line(location *pb.Location) int32 {
	if len(location.GetRanges()) == 0 {
		return 0
	}
	return location.Ranges[0].Start.Line
}

func fail(why any) {
	fmt.Fprintln(os.Stderr, "dockerlint:", why)
	os.Exit(2)
}
