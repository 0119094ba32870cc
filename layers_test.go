package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// only says who may import what; a path ends with * to mean everything below.
var only = map[string][]string{
	"github.com/digitalocean/go-libvirt": {"engine/virt"},
	"golang.org/x/crypto/ssh*":           {"engine/transport", "lab"},
	"charm.land/*":                       {"ui*"},
	"os/exec":                            {"engine/transport", "engine/worker", "lab", "cli"},
	"horcrux/ui":                         {"cli", "ui*"},
	"horcrux/ui/*":                       {"ui*"},
	"horcrux/lab":                        {".", "cli", "test"},
	"horcrux/cli":                        {"."},
	"horcrux/engine/migrate":             {"engine/ends", "engine/worker"},
	"horcrux/engine/virt":                {"engine/*", "engine"},
	"horcrux/engine/fleet":               {"engine/*", "engine"},
	"horcrux/engine":                     {"ui*", "cli"},
}

// upward lists what the lower parts may not know.
var never = map[string][]string{
	"engine/model": {"horcrux/*"},
	"health":       {"horcrux/engine/virt", "horcrux/engine/fleet", "horcrux/engine/transport"},
	"rollback":     {"horcrux/engine/virt", "horcrux/engine/fleet", "horcrux/engine/transport"},
	"engine/plan":  {"horcrux/engine/virt", "horcrux/engine/fleet", "horcrux/engine/transport"},
	"ui":           {"horcrux/engine/virt", "horcrux/engine/fleet", "horcrux/engine/transport", "horcrux/lab"},
	"ui/*":         {"horcrux/engine/virt", "horcrux/engine/fleet", "horcrux/engine/transport", "horcrux/lab"},
	"ui/widget":    {"horcrux/engine*"},
}

func matches(pattern, s string) bool {
	if p, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(s, p)
	}
	return pattern == s
}

func anyMatches(patterns []string, s string) bool {
	for _, p := range patterns {
		if matches(p, s) {
			return true
		}
	}
	return false
}

// TestImportsPointOneWay reads the files itself: go list would be answered from
// the test cache.
func TestImportsPointOneWay(t *testing.T) {
	documented := map[string]bool{}
	walk(t, func(dir, path string, f *ast.File) {
		documented[dir] = documented[dir] || f.Doc != nil
		for _, imp := range f.Imports {
			name := strings.Trim(imp.Path.Value, `"`)
			for pattern, who := range only {
				if matches(pattern, name) && !anyMatches(who, dir) && !sameTree(pattern, dir) {
					t.Errorf("%s imports %s; only %s may", path, name, strings.Join(who, ", "))
				}
			}
			for from, what := range never {
				if matches(from, dir) && anyMatches(what, name) && !strings.HasPrefix(name, "horcrux/"+dir) {
					t.Errorf("%s imports %s, which is above it", path, name)
				}
			}
		}
	})
	for dir, ok := range documented {
		if !ok {
			t.Errorf("package %s has no comment that says what it is for", dir)
		}
	}
}

// sameTree lets a package import its own parts.
func sameTree(pattern, dir string) bool {
	return strings.HasPrefix(pattern, "horcrux/"+dir)
}

func walk(t *testing.T, each func(dir, path string, f *ast.File)) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != "." {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		each(filepath.ToSlash(filepath.Dir(path)), path, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
