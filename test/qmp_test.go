//go:build lab

package test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"testing"
	"time"
)

// query asks a VM's QEMU itself, past all that is said of it by others.
func query(t *testing.T, node, vm, what string, into any) {
	t.Helper()
	out, err := the.Node(node).Virsh(t.Context(), "qemu-monitor-command", vm, fmt.Sprintf(`{"execute":%q}`, what))
	if err != nil {
		t.Fatal(err)
	}
	returned(t, what, out, into)
}

func returned(t *testing.T, what, out string, into any) {
	t.Helper()
	answer := struct {
		Return any `json:"return"`
	}{into}
	if err := json.Unmarshal([]byte(out), &answer); err != nil {
		t.Fatalf("%s: %v in %s", what, err, out)
	}
}

// inGuest runs a command in a guest by its agent, and returns what it printed.
func inGuest(t *testing.T, vm, node, script string) string {
	t.Helper()
	ask := func(execute string, arguments, into any) {
		t.Helper()
		text, err := json.Marshal(map[string]any{"execute": execute, "arguments": arguments})
		if err != nil {
			t.Fatal(err)
		}
		out, err := the.Node(node).Virsh(t.Context(), "qemu-agent-command", "--timeout", "20", vm, string(text))
		if err != nil {
			t.Fatal(err)
		}
		returned(t, execute, out, into)
	}
	var begun struct {
		PID int `json:"pid"`
	}
	ask("guest-exec", map[string]any{"path": "/bin/sh", "arg": []string{"-c", script}, "capture-output": true}, &begun)
	var status struct {
		Exited bool   `json:"exited"`
		Code   int    `json:"exitcode"`
		Out    string `json:"out-data"`
		Err    string `json:"err-data"`
	}
	until(t, "the end of a command in "+vm, 2*time.Minute, func() bool {
		ask("guest-exec-status", map[string]any{"pid": begun.PID}, &status)
		return status.Exited
	})
	out, _ := base64.StdEncoding.DecodeString(status.Out)
	if said, _ := base64.StdEncoding.DecodeString(status.Err); status.Code != 0 {
		t.Fatalf("%s: in %s: exit code %d: %s%s", script, vm, status.Code, out, said)
	}
	return string(out)
}
