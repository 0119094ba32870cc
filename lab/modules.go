package lab

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// addModules takes the modules the guest needs, plain or packed with xz, and
// their order, so that the guest can insert one after the other.
func addModules(ctx context.Context, a *archive, tree string) error {
	found := map[string]string{}
	for _, root := range []string{"lib/modules", "usr/lib/modules"} {
		err := filepath.WalkDir(filepath.Join(tree, root), func(p string, d fs.DirEntry, err error) error {
			if name, _, ok := strings.Cut(filepath.Base(p), ".ko"); ok && err == nil && !d.IsDir() {
				found[strings.ReplaceAll(name, "-", "_")] = p
			}
			return err
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	var order []string
	var add func(name string) error
	add = func(name string) error {
		p, ok := found[name]
		if !ok || slices.Contains(order, name) {
			return nil
		}
		data, err := readModule(ctx, p)
		if err != nil {
			return fmt.Errorf("cannot read the module %s: %w", name, err)
		}
		deps, err := moduleDepends(data)
		if err != nil {
			return fmt.Errorf("cannot read the module %s: %w", name, err)
		}
		for _, dep := range deps {
			if err := add(dep); err != nil {
				return err
			}
		}
		order = append(order, name)
		a.add("/modules/"+name+".ko", 0o644, data)
		return nil
	}
	for _, m := range guestModules {
		if err := add(m); err != nil {
			return err
		}
	}
	a.add("/modules/order", 0o644, []byte(strings.Join(order, "\n")+"\n"))
	return nil
}

func readModule(ctx context.Context, p string) ([]byte, error) {
	if strings.HasSuffix(p, ".xz") {
		return exec.CommandContext(ctx, "xz", "-dc", p).Output()
	}
	return os.ReadFile(p)
}

// moduleDepends reads which modules must be inserted before this one.
func moduleDepends(module []byte) ([]string, error) {
	f, err := elf.NewFile(bytes.NewReader(module))
	if err != nil {
		return nil, err
	}
	section := f.Section(".modinfo")
	if section == nil {
		return nil, errors.New("it has no .modinfo")
	}
	info, err := section.Data()
	if err != nil {
		return nil, err
	}
	return parseModinfo(info), nil
}

// parseModinfo finds "depends=a,b" among strings that end with a zero.
func parseModinfo(info []byte) []string {
	for field := range strings.SplitSeq(string(info), "\x00") {
		if list, ok := strings.CutPrefix(field, "depends="); ok && list != "" {
			return strings.Split(strings.ReplaceAll(list, "-", "_"), ",")
		}
	}
	return nil
}
