package survey

import (
	"testing"

	"horcrux/engine/plan"
)

func TestReadTLS(t *testing.T) {
	got := readTLS("=dir /etc/pki/qemu\n=file ca-cert.pem\n-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n\n=file server-cert.pem\nB\n=key server-key.pem\n=rights 0 64055 640 server-key.pem\n=rights x 0 640 a\n=end\n")
	if got.Dir != "/etc/pki/qemu" || string(got.CA) != "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n" || string(got.Server) != "B\n" || got.Client != nil || !got.ServerKey || got.ClientKey ||
		len(got.Rights) != 1 || got.Rights[0] != (plan.FileRights{Name: "server-key.pem", UID: 0, GID: 64055, Mode: 0o640}) {
		t.Errorf("%+v", got)
	}
	for _, text := range []string{"", "=dir /etc/pki/qemu\n=file ca-cert.pem\nA", "=end\n", "=dir relative\n=end\n", "sh: not found"} {
		if got := readTLS(text); got.Dir != "" || got.CA != nil {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

func FuzzReadTLS(f *testing.F) {
	f.Add("=dir /etc/pki/qemu\n=file ca-cert.pem\nA\n=key client-key.pem\n=end\n")
	f.Fuzz(func(t *testing.T, text string) {
		if got := readTLS(text); len(got.CA)+len(got.Server)+len(got.Client) > 2*len(text)+3 {
			t.Error("more than was said")
		}
	})
}
