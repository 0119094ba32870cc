package cli

import (
	"bytes"
	"errors"
	"testing"
)

// runLab runs one lab command that must not need root.
func runLab(t *testing.T, args ...string) error {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := newLabCommand(streams{out: &out, err: &errs})
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetErr(&errs)
	return cmd.ExecuteContext(t.Context())
}

func TestLabUsage(t *testing.T) {
	dir := t.TempDir()
	for _, args := range [][]string{
		{"up", "--prefix", "Bad!"},
		{"up", "--subnet", "10.0.0.0/8"},
		{"up", "--nodes", "99"},
		{"up", "--nodes", "many"},
		{"up", "--vms", "huge"},
		{"up", "--release", "node4=trixie"},
		{"up", "--release", "../etc"},
		{"up", "extra"},
		{"status", "-o", "yaml"},
		{"exec", "node1"},
		{"fault", "kill", "node1"},
		{"fault", "kill", "node1", "init", "--dir", dir},
		{"fault", "limit", "node1", "fast"},
		{"fault", "cut"},
		{"status", "--dir", "relative"},
	} {
		err := runLab(t, args...)
		exit := new(ExitError)
		if !errors.As(err, &exit) || exit.Code != ExitUsage {
			t.Errorf("lab %v: %v", args, err)
		}
	}
}

func TestLabWithoutLab(t *testing.T) {
	dir := t.TempDir()
	for _, args := range [][]string{
		{"status", "--dir", dir},
		{"exec", "node1", "--dir", dir, "--", "true"},
		{"fault", "off", "node1", "--dir", dir},
	} {
		err := runLab(t, args...)
		exit := new(ExitError)
		if err == nil || errors.As(err, &exit) {
			t.Errorf("lab %v: %v", args, err)
		}
	}
}

func TestParseLabSize(t *testing.T) {
	for text, want := range map[string]int64{"0": 0, "512k": 512 << 10, "8M": 8 << 20, "1g": 1 << 30, "77": 77} {
		if got, err := parseLabSize(text); got != want || err != nil {
			t.Errorf("%s is %d (%v), want %d", text, got, err, want)
		}
	}
	for _, bad := range []string{"", "x", "-1", "1T", "99999999999G", "1.5M"} {
		if _, err := parseLabSize(bad); err == nil {
			t.Errorf("the size %q was taken", bad)
		}
	}
}
