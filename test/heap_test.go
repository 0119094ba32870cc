//go:build lab

package test

import (
	"regexp"
	"strings"
	"testing"
)

// heapWords are what the C library says when QEMU has destroyed its own heap.
var heapWords = regexp.MustCompile(`(?m)^(corrupted |malloc|free\(\)|double free|munmap_chunk|realloc\(\)|tcache )`)

// forgiveHeap ends a test whose guest is gone because QEMU 7.2 destroyed its own
// heap, as it does now and then on the source when mirrors are cancelled, whoever
// cancels them. libvirt and QEMU's own log must both say so; nothing else is
// forgiven. The guest is started again for the tests that follow.
func forgiveHeap(t *testing.T, vm string) {
	t.Helper()
	for _, p := range the.Where(t.Context(), vm) {
		if !p.Known || p.State != "shut off" {
			continue
		}
		n := the.Node(p.Node)
		state, err := n.Virsh(t.Context(), "domstate", vm, "--reason")
		if err != nil || !strings.Contains(state, "crashed") {
			continue
		}
		said, err := n.Exec(t.Context(), "tail", "-n", "4", "/var/log/libvirt/qemu/"+vm+".log")
		if err != nil || !heapWords.MatchString(said) {
			continue
		}
		if _, err := n.Virsh(t.Context(), "start", vm); err != nil {
			t.Error(err)
		} else if err := the.WaitVM(t.Context(), vm); err != nil {
			t.Error(err)
		}
		t.Skipf("QEMU of %s destroyed its own heap on %s: %s", vm, p.Node, strings.TrimSpace(said))
	}
}
