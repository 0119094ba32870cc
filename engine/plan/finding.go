package plan

import (
	"fmt"
	"math"
	"strings"

	"al.essio.dev/pkg/shellescape"
	"github.com/dustin/go-humanize"

	"horcrux/engine/model"
)

// one is a list of a single finding, for rules that always have one.
func one(f model.Finding) []model.Finding { return []model.Finding{f} }

func pass(id, title, format string, args ...any) model.Finding {
	return model.Finding{ID: id, Title: title, Verdict: model.Pass, Detail: fmt.Sprintf(format, args...)}
}

func warn(id, title, detail, remedy string) model.Finding {
	return model.Finding{ID: id, Title: title, Verdict: model.Warn, Detail: detail, Remedy: remedy}
}

func fail(id, title, detail, remedy string) model.Finding {
	return model.Finding{ID: id, Title: title, Verdict: model.Fail, Detail: detail, Remedy: remedy}
}

// command is one for a shell, with the names of hosts, VMs and files quoted:
// people paste what a remedy says.
func command(format string, words ...string) string {
	quoted := make([]any, len(words))
	for i, w := range words {
		quoted[i] = shellescape.Quote(w)
	}
	return fmt.Sprintf(format, quoted...)
}

// size is for people; a number of bytes that matters exactly is written out.
func size(n uint64) string { return humanize.IBytes(n) }

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// plus adds two numbers of bytes, however large the host says they are.
func plus(a, b uint64) uint64 {
	if a > math.MaxUint64-b {
		return math.MaxUint64
	}
	return a + b
}

func minus(a, b uint64) uint64 {
	if a < b {
		return 0
	}
	return a - b
}

func list(words []string) string { return strings.Join(words, ", ") }
