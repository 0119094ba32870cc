package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestVulnIsHonest: a finding fails, a database that cannot be reached is said
// to be so, and nothing else is taken for that.
func TestVulnIsHonest(t *testing.T) {
	for name, c := range map[string]struct {
		says string
		code int
		want int
	}{
		"clean":       {"No vulnerabilities found.", 0, 0},
		"finding":     {"Vulnerability #1: GO-2026-0001 no such host", 3, 3},
		"unreachable": {`govulncheck: fetching vulnerabilities: Get "https://vuln.go.dev/index/modules.json.gz": dial tcp: lookup vuln.go.dev: no such host`, 1, 0},
		"broken":      {"govulncheck: loading packages: there are errors", 1, 1},
		"other fault": {"govulncheck: fetching vulnerabilities: unexpected end of JSON input", 1, 1},
	} {
		tool := filepath.Join(t.TempDir(), "tool")
		script := "#!/bin/sh\ncat <<'END'\n" + c.says + "\nEND\nexit " + string(rune('0'+c.code)) + "\n"
		if err := os.WriteFile(tool, []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(".ci/vuln")
		cmd.Env = append(os.Environ(), "GOVULNCHECK="+tool)
		out, _ := cmd.CombinedOutput()
		if got := cmd.ProcessState.ExitCode(); got != c.want || strings.Contains(string(out), "NOT CHECKED") != (name == "unreachable") {
			t.Errorf("%s: exit code %d, want %d:\n%s", name, got, c.want, out)
		}
	}
}
