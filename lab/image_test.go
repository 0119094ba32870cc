package lab

import (
	"slices"
	"strconv"
	"testing"
)

func TestArchive(t *testing.T) {
	var a archive
	a.add("/bin/tool", 0o755, []byte("hello"))
	a.link("/bin/sh", "tool")
	a.dir("data")
	a.add("/etc/deep/er/file", 0o644, nil)
	first := a.bytes()
	if len(first)%4 != 0 || string(first[:6]) != "070701" {
		t.Error("not in the format the kernel reads")
	}
	if string(first) != string(a.bytes()) {
		t.Error("the same content gives other bytes")
	}
	got := cpioNames(t, first)
	want := []string{"bin", "data", "etc", "etc/deep", "etc/deep/er", "bin/sh", "bin/tool", "etc/deep/er/file"}
	if !slices.Equal(got, want) {
		t.Errorf("it holds %v, want %v", got, want)
	}
}

// cpioNames walks through an archive as the kernel does: a header of 110 bytes
// with fields of 8 hexadecimal digits, the name, the content, each padded to 4.
func cpioNames(t *testing.T, b []byte) (names []string) {
	t.Helper()
	round := func(n int) int { return (n + 3) &^ 3 }
	for at := 0; ; {
		field := func(i int) int {
			n, err := strconv.ParseUint(string(b[at+6+8*i:at+14+8*i]), 16, 31)
			if err != nil {
				t.Fatal(err)
			}
			return int(n)
		}
		size, nameSize := field(6), field(11)
		name := string(b[at+110 : at+110+nameSize-1])
		if name == "TRAILER!!!" {
			return names
		}
		names = append(names, name)
		at += round(110+nameSize) + round(size)
	}
}

func TestParseModinfo(t *testing.T) {
	got := parseModinfo([]byte("license=GPL\x00depends=virtio-ring,virtio\x00name=x\x00"))
	if !slices.Equal(got, []string{"virtio_ring", "virtio"}) {
		t.Errorf("%v", got)
	}
	if got := parseModinfo([]byte("depends=\x00")); got != nil {
		t.Errorf("%v", got)
	}
}

func TestParseMounts(t *testing.T) {
	text := `22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:5 / /with\040space rw - tmpfs tmpfs rw
31 22 8:1 / / rw shared:2 master:3 - xfs /dev/sda1 rw
short line
`
	got := parseMounts(text)
	want := []mountInfo{{"/", "ext4"}, {"/with space", "tmpfs"}, {"/", "xfs"}}
	if !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
	mounts := systemMounts([]mountInfo{{"/", "ext4"}, {"/usr/lib", "ext4"}, {"/usr", "xfs"}, {"/usr", "xfs"}, {"/home", "ext4"}, {"/proc", "proc"}, {"/etc/hostname", "ext4"}})
	if !slices.Equal(mounts, []string{"/usr", "/usr/lib"}) {
		t.Errorf("%v", mounts)
	}
}

func TestLibraryPaths(t *testing.T) {
	got := libraryPaths("\tlinux-vdso.so.1 (0x1)\n\tlibc.so.6 => /lib/libc.so.6 (0x2)\n\t/lib64/ld.so (0x3)\n\tlibx => /lib/libc.so.6 (0x4)\n")
	if !slices.Equal(got, []string{"/lib/libc.so.6", "/lib64/ld.so"}) {
		t.Errorf("%v", got)
	}
}

func TestParseDepends(t *testing.T) {
	if got := parseDepends("linux-image-cloud-amd64\n  Depends: linux-image-6.1.0-56-cloud-amd64\n"); got != "linux-image-6.1.0-56-cloud-amd64" {
		t.Errorf("%q", got)
	}
	if got := parseDepends("x\n  Depends: other\n"); got != "" {
		t.Errorf("%q", got)
	}
}
