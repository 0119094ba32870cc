package transport

import (
	"errors"
	"strings"

	"al.essio.dev/pkg/shellescape"
)

// errNUL says why a list of arguments cannot be a command.
var errNUL = errors.New("an argument has a NUL byte, which no command can be given")

// Quote makes the one string that SSH wants of a list of arguments, so that a
// POSIX shell at the other end reads exactly these arguments and nothing of
// them as its own. It is the only place where arguments become a string.
func Quote(argv []string) (string, error) {
	if len(argv) == 0 || argv[0] == "" {
		return "", errors.New("no command")
	}
	for _, a := range argv {
		if strings.IndexByte(a, 0) >= 0 {
			return "", errNUL
		}
	}
	return shellescape.QuoteCommand(argv), nil
}
