package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// sshdConfig lets everything through that a console on a jump host needs:
// forwarded sockets and ports, and root by key.
const sshdConfig = `Port 22
ListenAddress 0.0.0.0
HostKey /etc/ssh/ssh_host_ed25519_key
HostKey /etc/ssh/ssh_host_ecdsa_key
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
PrintMotd no
AllowTcpForwarding yes
AllowStreamLocalForwarding yes
AcceptEnv LANG LC_*
Subsystem sftp /usr/lib/openssh/sftp-server
`

// qemuConfig switches off what needs a whole machine: a security driver, a
// mount namespace and control groups of its own. Which user QEMU runs as is as
// Debian has it. Owners of images are not remembered, as on a file system
// without extended attributes (NFS): whoever ends a QEMU gives its images to root.
const qemuConfig = `security_driver = "none"
user = "libvirt-qemu"
group = "libvirt-qemu"
namespaces = []
cgroup_controllers = []
remember_owner = 0
`

const libvirtdConfig = `host_uuid = "%s"
auth_unix_ro = "none"
auth_unix_rw = "none"
log_outputs = "3:file:/var/log/libvirt/libvirtd.log"
`

// poolXML is a directory pool that libvirt finds at its start.
const poolXML = `<pool type='dir'>
  <name>%s</name>
  <uuid>%s</uuid>
  <target><path>%s</path></target>
</pool>
`

// prepare writes everything the host is made of, once. A host that is switched
// off and on again finds it unchanged. It returns the host's public keys.
func (n *Node) prepare() ([]string, error) {
	dir := n.lab.paths.node(n.Name)
	for _, b := range hostBinds {
		mode := os.FileMode(0o755)
		if b.source == rootHome {
			mode = 0o700
		}
		if err := os.MkdirAll(filepath.Join(dir, b.source), mode); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, rootHome, ".ssh"), 0o700); err != nil {
		return nil, err
	}
	for _, sub := range []string{"root", "etc-libvirt/storage/autostart", "var-cache-libvirt/qemu/capabilities", "var-log-libvirt/qemu", "var-lib-libvirt/images"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, err
		}
	}
	keys, err := n.writeSSH(dir)
	if err != nil {
		return nil, err
	}
	files := map[string]string{
		"etc-libvirt/libvirtd.conf": fmt.Sprintf(libvirtdConfig, randomUUID()),
		"etc-libvirt/qemu.conf":     qemuConfig,
		"etc-libvirt/libvirt.conf":  "uri_default = \"qemu:///system\"\n",
		"etc-libvirt/virtlogd.conf": "",
		"machine-id":                randomHex(16),
	}
	for name, target := range map[string]string{"images": imagesDir, "shared": sharedDir} {
		file := filepath.Join("etc-libvirt/storage", name+".xml")
		files[file] = fmt.Sprintf(poolXML, name, randomUUID(), target)
		link := filepath.Join(dir, "etc-libvirt/storage/autostart", name+".xml")
		if err := os.Symlink("/etc/libvirt/storage/"+name+".xml", link); err != nil {
			return nil, err
		}
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	return keys, n.seedCapabilities(dir)
}

// writeSSH makes the host's keys and lets the lab's key in. Hosts reach each
// other with the same key, so that a migration can also be run by hand.
func (n *Node) writeSSH(dir string) ([]string, error) {
	comment := "root@" + n.Name
	var keys []string
	for file, make := range map[string]func(string, string) (string, error){
		"ssh_host_ed25519_key": newEd25519,
		"ssh_host_ecdsa_key":   newECDSA,
	} {
		line, err := make(filepath.Join(dir, "etc-ssh", file), comment)
		if err != nil {
			return nil, fmt.Errorf("cannot make the host keys: %w", err)
		}
		keys = append(keys, line)
	}
	if err := os.WriteFile(filepath.Join(dir, "etc-ssh/sshd_config"), []byte(sshdConfig), 0o644); err != nil {
		return nil, err
	}
	for from, to := range map[string]string{keyName: keyName, keyName + ".pub": "authorized_keys"} {
		b, err := os.ReadFile(n.lab.paths.file(from))
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(dir, rootHome, ".ssh", to), b, 0o600); err != nil {
			return nil, err
		}
	}
	return keys, nil
}

// writeKnownHosts records the hosts' real keys, for the machine and for the
// hosts themselves.
func (l *Lab) writeKnownHosts(keys map[string][]string) error {
	var b strings.Builder
	for _, n := range l.Nodes {
		for _, k := range keys[n.Name] {
			fmt.Fprintf(&b, "%s,%s %s\n", n.Address, n.Name, k)
		}
	}
	files := []string{l.KnownHostsPath()}
	for _, n := range l.Nodes {
		files = append(files, l.paths.nodeFile(n.Name, rootHome+"/.ssh/known_hosts"))
	}
	for _, f := range files {
		if err := os.WriteFile(f, []byte(b.String()), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// capsCache keeps what libvirt learned about QEMU in earlier labs. libvirt
// itself checks that it still fits and probes again if not.
// Each release has its own, so that a change between them does not probe anew.
func (n *Node) capsCache() string {
	name := "qemu-capabilities"
	if n.release != "" {
		name += "-" + n.release
	}
	return filepath.Join(n.lab.paths.cache(), name)
}

func (n *Node) seedCapabilities(dir string) error {
	return copyFiles(n.capsCache(), filepath.Join(dir, "var-cache-libvirt/qemu/capabilities"))
}

// shareCapabilities lets the first host of each release ask QEMU what it can,
// unless that is known from an earlier lab, and tells the others. It takes
// seconds, and would take them on each host when it defines its first VM.
func (l *Lab) shareCapabilities(ctx context.Context) error {
	asked := map[string]bool{}
	for _, n := range l.Nodes {
		dir := l.paths.nodeFile(n.Name, "var-cache-libvirt/qemu/capabilities")
		if asked[n.release] {
			if err := copyFiles(n.capsCache(), dir); err != nil {
				return err
			}
			continue
		}
		asked[n.release] = true
		if _, err := n.Virsh(ctx, "domcapabilities", "--virttype", "qemu", "--arch", "x86_64"); err != nil {
			return err
		}
		if err := os.MkdirAll(n.capsCache(), 0o755); err != nil {
			return err
		}
		if err := copyFiles(dir, n.capsCache()); err != nil {
			return err
		}
	}
	return nil
}

// copyFiles copies the plain files of one directory into another.
func copyFiles(from, to string) error {
	entries, err := os.ReadDir(from)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		b, err := os.ReadFile(filepath.Join(from, e.Name()))
		if err != nil {
			return err
		}
		tmp := filepath.Join(to, "."+e.Name()+"."+randomHex(4))
		if err := os.WriteFile(tmp, b, 0o644); err != nil {
			return err
		}
		if err := os.Rename(tmp, filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	return nil
}
