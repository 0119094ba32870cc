package lab

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"
)

// archive collects files and writes them as an initramfs: cpio in the format
// "newc", the only one the kernel reads. It is not compressed, because a guest
// without KVM would unpack it slowly.
type archive struct {
	dirs  []string
	files map[string]archiveFile
}

type archiveFile struct {
	mode uint32 // type and permissions, as in stat
	data []byte // content, or the target of a link
}

const (
	modeFile = 0o100000
	modeDir  = 0o040000
	modeLink = 0o120000
)

// add puts a file at an absolute path, with the directories above it.
func (a *archive) add(name string, perm uint32, data []byte) {
	a.put(name, archiveFile{modeFile | perm, data})
}

func (a *archive) link(name, target string) {
	a.put(name, archiveFile{modeLink | 0o777, []byte(target)})
}

func (a *archive) dir(name string) {
	name = strings.Trim(name, "/")
	if name == "" || name == "." || slices.Contains(a.dirs, name) {
		return
	}
	a.dir(path.Dir(name))
	a.dirs = append(a.dirs, name)
}

func (a *archive) put(name string, f archiveFile) {
	if a.files == nil {
		a.files = map[string]archiveFile{}
	}
	name = strings.Trim(name, "/")
	a.dir(path.Dir(name))
	a.files[name] = f
}

// bytes writes the archive; the same content gives the same bytes.
func (a *archive) bytes() []byte {
	var b bytes.Buffer
	inode := 1
	entry := func(name string, f archiveFile) {
		inode++
		writeCPIO(&b, inode, name, f)
	}
	for _, d := range a.dirs {
		entry(d, archiveFile{mode: modeDir | 0o755})
	}
	names := make([]string, 0, len(a.files))
	for n := range a.files {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		entry(n, a.files[n])
	}
	writeCPIO(&b, 0, "TRAILER!!!", archiveFile{})
	return b.Bytes()
}

func writeCPIO(b *bytes.Buffer, inode int, name string, f archiveFile) {
	links := 1
	if f.mode&modeDir != 0 && f.mode&modeFile != modeFile {
		links = 2
	}
	fmt.Fprintf(b, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		inode, f.mode, 0, 0, links, 0, len(f.data), 0, 0, 0, 0, len(name)+1, 0)
	b.WriteString(name)
	b.WriteByte(0)
	pad4(b)
	b.Write(f.data)
	pad4(b)
}

func pad4(b *bytes.Buffer) {
	for b.Len()%4 != 0 {
		b.WriteByte(0)
	}
}
