package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Error is one thing that is wrong in a configuration file.
type Error struct {
	Path    string
	Line    int    // 0 when the file as a whole is meant
	Key     string // as node[0].address; empty when the text is not TOML
	Problem string
	Remedy  string
}

// Error reads file:line: key: what is wrong; what would be right.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Path)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d", e.Line)
	}
	b.WriteString(": ")
	if e.Key != "" {
		b.WriteString(e.Key + ": ")
	}
	b.WriteString(e.Problem)
	if e.Remedy != "" {
		b.WriteString("; " + e.Remedy)
	}
	return b.String()
}

// ErrNoConfig says that no configuration file was found, and where one was
// looked for.
type ErrNoConfig struct{ Places []string }

func (e *ErrNoConfig) Error() string {
	return "cannot find a configuration file: looked for " + strings.Join(e.Places, ", ") +
		"; copy config.example.toml to one of these places, or name a file with --config"
}

// problem is what a setter says; the loader adds where.
type problem struct{ what, right string }

func (p *problem) Error() string { return p.what + "; " + p.right }

func wrong(right, what string, args ...any) error {
	return &problem{fmt.Sprintf(what, args...), right}
}

// problems gathers all that is wrong, so that one look at the file mends it.
type problems struct {
	path string
	pos  positions
	all  []*Error
}

func (p *problems) add(key string, err error) {
	p.addAt(p.pos.at(key), key, err)
}

func (p *problems) addAt(line int, key string, err error) {
	e := &Error{Path: p.path, Line: line, Key: key, Problem: err.Error()}
	var q *problem
	if errors.As(err, &q) {
		e.Problem, e.Remedy = q.what, q.right
	}
	p.all = append(p.all, e)
}

func (p *problems) err() error {
	slices.SortStableFunc(p.all, func(a, b *Error) int { return a.Line - b.Line })
	errs := make([]error, len(p.all))
	for i, e := range p.all {
		errs[i] = e
	}
	return errors.Join(errs...)
}
