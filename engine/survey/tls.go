package survey

import (
	"context"
	"path"
	"strconv"
	"strings"

	"horcrux/engine/fleet"
	"horcrux/engine/plan"
	"horcrux/engine/virt"
)

// tlsScript finds the folder that libvirt takes QEMU's certificates for moves
// from, as libvirt does: qemu.conf's two words for it, a folder by its name, the
// default. It shows the certificates and says which keys are there; it reads
// no key. It takes no data from us.
const tlsScript = `conf=/etc/libvirt/qemu.conf
word() { sed -n "s/^[[:space:]]*$1[[:space:]]*=[[:space:]]*[\"']\([^\"']*\)[\"'].*/\1/p" "$conf" 2>/dev/null | tail -n 1; }
dir=$(word migrate_tls_x509_cert_dir)
if test -z "$dir" && test -d /etc/pki/libvirt-migrate; then dir=/etc/pki/libvirt-migrate; fi
if test -z "$dir"; then dir=$(word default_tls_x509_cert_dir); fi
if test -z "$dir"; then dir=/etc/pki/qemu; fi
echo "=dir $dir"
for f in ca-cert.pem server-cert.pem client-cert.pem; do
  if test -f "$dir/$f"; then echo "=file $f"; head -c 65536 "$dir/$f"; echo; fi
done
for f in server-key.pem client-key.pem; do
  if test -f "$dir/$f"; then echo "=key $f"; fi
done
for f in ca-cert.pem server-cert.pem server-key.pem client-cert.pem client-key.pem; do
  if test -f "$dir/$f"; then stat -L -c "=rights %u %g %a $f" "$dir/$f"; fi
done
echo =end`

// tlsFact asks a node what QEMU there could encrypt with.
func tlsFact(ctx context.Context, n *fleet.Node) plan.TLSFact {
	res, err := n.Exec(ctx, []string{"sh", "-c", tlsScript}, nil)
	if err != nil {
		return plan.TLSFact{}
	}
	return readTLS(string(res.Stdout))
}

// readTLS reads what tlsScript said; half an answer is none.
func readTLS(text string) plan.TLSFact {
	var (
		t    plan.TLSFact
		into *[]byte
	)
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		word, rest, _ := strings.Cut(line, " ")
		if !strings.HasPrefix(word, "=") {
			if into != nil && line != "" {
				*into = append(append(*into, line...), '\n')
			}
			continue
		}
		into = nil
		switch {
		case word == "=dir" && path.IsAbs(rest):
			t.Dir = virt.Clean(rest)
		case word == "=file":
			into = map[string]*[]byte{"ca-cert.pem": &t.CA, "server-cert.pem": &t.Server, "client-cert.pem": &t.Client}[rest]
			if into != nil {
				*into = []byte{}
			}
		case word == "=key" && rest == "server-key.pem":
			t.ServerKey = true
		case word == "=key" && rest == "client-key.pem":
			t.ClientKey = true
		case word == "=rights":
			if f := strings.Fields(rest); len(f) == 4 && len(t.Rights) < 5 {
				uid, err1 := strconv.ParseUint(f[0], 10, 32)
				gid, err2 := strconv.ParseUint(f[1], 10, 32)
				mode, err3 := strconv.ParseUint(f[2], 8, 12)
				if err1 == nil && err2 == nil && err3 == nil {
					t.Rights = append(t.Rights, plan.FileRights{Name: virt.Clean(f[3]), UID: uint32(uid), GID: uint32(gid), Mode: uint32(mode)})
				}
			}
		case word == "=end" && t.Dir != "":
			return t
		}
	}
	return plan.TLSFact{}
}
