package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"horcrux/engine/virt"
)

// Image is one file of a chain, as qemu-img sees it.
type Image struct {
	Path        string // as it was opened
	Format      string
	VirtualSize int64
	ActualSize  int64
	// Backing is the backing file as the image names it, BackingPath where that
	// leads; both empty at the end of the chain.
	Backing       string
	BackingPath   string
	BackingFormat string
	// Snapshots is how many internal snapshots there are.
	Snapshots int
	// DataFile is where a qcow2 image keeps its data when that is not itself.
	DataFile string
	Dirty    bool
}

// maxChain is how many images a chain may have: libvirt allows 200.
const maxChain = 256

// Chain lists an image and all that it is based on, from the top. shared reads
// it while a guest writes to it.
func Chain(ctx context.Context, n Node, name string, shared bool) ([]Image, error) {
	if err := checkPath(name); err != nil {
		return nil, err
	}
	what := "list the backing chain of " + name
	argv := []string{"qemu-img", "info", "--backing-chain", "--output=json"}
	if shared {
		argv = append(argv, "-U")
	}
	out, err := run(ctx, n, what, nil, append(argv, "--", name)...)
	if err != nil {
		return nil, err
	}
	all, err := parseChain([]byte(out))
	if err != nil {
		return nil, fmt.Errorf("cannot %s on %s: %w", what, n.Name(), err)
	}
	return all, nil
}

func parseChain(text []byte) ([]Image, error) {
	var raw []struct {
		Filename    string            `json:"filename"`
		Format      string            `json:"format"`
		VirtualSize int64             `json:"virtual-size"`
		ActualSize  int64             `json:"actual-size"`
		Backing     string            `json:"backing-filename"`
		BackingPath string            `json:"full-backing-filename"`
		BackingFmt  string            `json:"backing-filename-format"`
		Snapshots   []json.RawMessage `json:"snapshots"`
		Dirty       bool              `json:"dirty-flag"`
		Specific    struct {
			Data struct {
				DataFile string `json:"data-file"`
			} `json:"data"`
		} `json:"format-specific"`
	}
	if err := json.Unmarshal(text, &raw); err != nil {
		return nil, fmt.Errorf("qemu-img's answer makes no sense: %w", err)
	}
	if len(raw) == 0 || len(raw) > maxChain {
		return nil, fmt.Errorf("qemu-img lists %d images", len(raw))
	}
	all := make([]Image, 0, len(raw))
	for _, r := range raw {
		if r.Filename == "" || r.VirtualSize < 0 {
			return nil, errors.New("qemu-img lists an image without a name or a size")
		}
		all = append(all, Image{
			Path: r.Filename, Format: virt.Clean(r.Format), VirtualSize: r.VirtualSize, ActualSize: r.ActualSize,
			Backing: r.Backing, BackingPath: r.BackingPath, BackingFormat: virt.Clean(r.BackingFmt),
			Snapshots: len(r.Snapshots), DataFile: r.Specific.Data.DataFile, Dirty: r.Dirty,
		})
	}
	return all, nil
}

// Rebase writes another name of its backing file into an image, without
// looking at the content: both must hold the same. An empty backing makes the
// image stand alone. Doing it again does no harm.
func Rebase(ctx context.Context, n Node, image, imageFormat, backing, backingFormat string) error {
	for _, name := range []string{image, backing} {
		if err := checkPath(name); err != nil && name != "" {
			return err
		}
	}
	if strings.HasPrefix(backingFormat, "-") || strings.HasPrefix(imageFormat, "-") {
		return fmt.Errorf("cannot rebase %q: %q is no format", image, backingFormat)
	}
	argv := []string{"qemu-img", "rebase", "-u", "-f", imageFormat, "-b", backing}
	if backing != "" {
		argv = append(argv, "-F", backingFormat)
	}
	_, err := run(ctx, n, "name the backing file of "+image, nil, append(argv, "--", image)...)
	return err
}

// Commit merges an image into its backing file, which then holds all; the image
// is kept as it is. After a break it can be done again: nothing is lost in the
// image. The guest must be off.
func Commit(ctx context.Context, n Node, image, imageFormat string) error {
	if err := checkPath(image); err != nil {
		return err
	}
	_, err := runSupervised(ctx, n, "merge "+image+" into its backing file",
		"qemu-img", "commit", "-d", "-t", "none", "-f", imageFormat, "--", image)
	return err
}

// CheckImage lets qemu-img look for damage in an image that nobody has open;
// formats without a check pass.
func CheckImage(ctx context.Context, n Node, image, imageFormat string) error {
	if err := checkPath(image); err != nil {
		return err
	}
	_, err := runSupervised(ctx, n, "check "+image, "qemu-img", "check", "-q", "-f", imageFormat, "--", image)
	var failed *runError
	if errors.As(err, &failed) && (failed.code == 63 || failed.code == 3) {
		// 63: the format knows no check. 3: leaked clusters, which waste space only.
		return nil
	}
	return err
}
