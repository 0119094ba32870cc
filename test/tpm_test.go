//go:build lab

package test

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"horcrux/lab"
)

const tpmSecret = "7d1c9e52-0b6f-4c1e-9a57-3f2f0f5f6a01"

// keepSecret gives a node the passphrase that a TPM's state is encrypted with.
func keepSecret(t *testing.T, node, value string) {
	t.Helper()
	n := the.Node(node)
	xml := fmt.Sprintf("<secret ephemeral='no' private='yes'><uuid>%s</uuid><usage type='vtpm'><name>lab</name></usage></secret>", tpmSecret)
	if _, err := n.ExecInput(t.Context(), xml, "virsh", "-q", "secret-define", "/dev/stdin"); err != nil {
		t.Fatal(err)
	}
	if _, err := n.ExecInput(t.Context(), value, "virsh", "-q", "secret-set-value", tpmSecret, "--file", "/dev/stdin", "--plain"); err != nil {
		t.Fatal(err)
	}
}

// Commands to a TPM 2.0, by its owner, whose password is empty: what is written
// to an index of its memory stays, what a register is extended with lasts as long
// as the guest runs.
const (
	noPassword = "00000009" + "40000009" + "0000" + "00" + "0000"
	nvDefine   = "8002" + "0000002d" + "0000012a" + "40000001" + noPassword + "0000" + "000e" + "01800001" + "000b" + "02060006" + "0000" + "0008"
	nvWrite    = "8002" + "0000002b" + "00000137" + "40000001" + "01800001" + noPassword + "0008" + "686f726372757821" + "0000"
	nvRead     = "8002" + "00000023" + "0000014e" + "40000001" + "01800001" + noPassword + "0008" + "0000"
	pcrExtend  = "8002" + "00000041" + "00000182" + "00000010" + noPassword + "00000001" + "000b" + "6162636465666768616263646566676861626364656667686162636465666768"
	written    = "horcrux!"
	nvDefined  = "\x00\x00\x01\x4c" // by an earlier test
)

// askTPM lets a guest send a command to its TPM and returns the answer.
func askTPM(t *testing.T, vm, node, command string) string {
	t.Helper()
	raw, err := hex.DecodeString(command)
	if err != nil {
		t.Fatal(err)
	}
	var escaped strings.Builder
	for _, b := range raw {
		fmt.Fprintf(&escaped, `\x%02x`, b)
	}
	answer := inGuest(t, vm, node, "exec 3<>/dev/tpm0; printf '"+escaped.String()+"' >&3; dd bs=4096 count=1 <&3 2>/dev/null")
	if code := answer[min(6, len(answer)):min(10, len(answer))]; code != "\x00\x00\x00\x00" && code != nvDefined {
		t.Fatalf("the TPM of %s answers %x to %s", vm, answer, command)
	}
	return answer
}

// I4: UEFI variables and an encrypted TPM, live and off: the guest has in both what
// it had. A target whose secret is another one ends the move, not the VM.
func TestI4KeepsVariablesAndTPM(t *testing.T) {
	if _, err := the.Node("node1").Exec(t.Context(), "test", "-x", "/usr/bin/swtpm_setup"); err != nil {
		t.Fatal("the lab was made without swtpm: HORCRUX_ACCEPT=brief makes it with")
	}
	for _, n := range the.Nodes {
		keepSecret(t, n.Name, "open sesame")
	}
	s, from := one(t, lab.VMSpec{Name: "wtpm", Agent: true, UEFI: true, DevicesXML: fmt.Sprintf(
		"    <tpm model='tpm-crb'><backend type='emulator' version='2.0'><encryption secret='%s'/></backend></tpm>", tpmSecret)})
	stopAfter(t, s.Name)
	to, c := other(from), newConsole(t)
	hash := func(node, file string) string {
		t.Helper()
		out, err := the.Node(node).Exec(t.Context(), "sha256sum", file)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Fields(out)[0]
	}
	register := func(node string) string {
		t.Helper()
		return inGuest(t, s.Name, node, "cat /sys/class/tpm/tpm0/pcr-sha256/16")
	}
	askTPM(t, s.Name, from, nvDefine)
	askTPM(t, s.Name, from, nvWrite)
	askTPM(t, s.Name, from, pcrExtend)
	extended, vars := register(from), hash(from, s.NVRAMPath())

	keepSecret(t, to, "another one")
	stop := observe(s)
	id := c.start(s.Name, to, "--bandwidth", "0")
	c.reach(id, "undone")
	stop()
	r := endedAs(t, c, s, id, "undone", from)
	cause := "tpm-emulator"
	if v, err := the.Node(to).Exec(t.Context(), "libvirtd", "--version"); err != nil || !strings.Contains(v, " 9.0.") {
		// libvirt 11.3 passes on what QEMU says of the move, and no more what it said before.
		cause = "load of migration failed"
	}
	if _, why, _ := strings.Cut(r.Reason, to+" says: "); !strings.Contains(why, cause) {
		t.Errorf("the cause is: %s", r.Reason)
	}
	keepSecret(t, to, "open sesame")

	stop = observe(s)
	id, _ = c.move(s, to)
	stop()
	endedAs(t, c, s, id, "done", to)
	if now := register(to); now != extended || !strings.Contains(askTPM(t, s.Name, to, nvRead), written) {
		t.Errorf("it has another TPM: register 16 was %s, is %s", extended, now)
	}
	if hash(to, s.NVRAMPath()) != vars {
		t.Error("it has other UEFI variables")
	}

	if _, err := the.Node(to).Virsh(t.Context(), "shutdown", s.Name); err != nil {
		t.Fatal(err)
	}
	until(t, "the guest is off", time.Minute, func() bool { return strings.HasPrefix(domstate(t, s.Name, to), "shut off") })
	s.want = "shut off"
	state := "/var/lib/libvirt/swtpm/" + s.UUID + "/tpm2/tpm2-00.permall"
	vars, tpm := hash(to, s.NVRAMPath()), hash(to, state)
	id, _ = c.move(s, from, "--mode", "offline")
	endedAs(t, c, s, id, "done", from)
	if hash(from, s.NVRAMPath()) != vars || hash(from, state) != tpm {
		t.Error("the files of its UEFI variables or its TPM are others")
	}
}
