package health

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"horcrux/config"
)

const (
	// maxBody is how much of an answer is read; only its status counts.
	maxBody = 64 << 10
	// pollExec is how often the agent is asked whether a command has ended.
	pollExec = 100 * time.Millisecond
)

// newHTTPClient asks directly, once, and takes any certificate: nothing secret
// is sent, and a guest that is asked by its address has no certificate for it.
// Package http lets a dial outlive its request; life ends it.
func newHTTPClient(life context.Context, dial func(context.Context, string, string) (net.Conn, error)) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				ctx, cancel := context.WithCancel(ctx)
				defer cancel()
				defer context.AfterFunc(life, cancel)()
				return dial(ctx, network, address)
			},
			DisableKeepAlives: true,
			TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // see above
		},
		// A redirect is an answer; the configuration says which one is right.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func (e *exam) tryHTTP(ctx context.Context, a config.Application) (string, error) {
	want := a.Status
	if want == 0 {
		want = http.StatusOK
	}
	forms, err := e.filled(ctx, a.HTTP, true)
	if err != nil {
		return "", err
	}
	return each(ctx, forms, func(ctx context.Context, address string) (string, error) {
		began := e.o.Clock.Now()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return "", err
		}
		req.Header.Set("User-Agent", "horcrux")
		res, err := e.o.HTTP.Do(req)
		if err != nil {
			return "", plain(err)
		}
		defer res.Body.Close()
		_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, maxBody))
		took := ms(e.o.Clock.Now().Sub(began))
		if res.StatusCode != want {
			return "", fmt.Errorf("%d in %s, and %d is expected", res.StatusCode, took, want)
		}
		return fmt.Sprintf("from this console to %s: %d in %s", clean(address), res.StatusCode, took), nil
	})
}

func (e *exam) tryTCP(ctx context.Context, a config.Application) (string, error) {
	forms, err := e.filled(ctx, a.TCP, true)
	if err != nil {
		return "", err
	}
	return each(ctx, forms, func(ctx context.Context, address string) (string, error) {
		began := e.o.Clock.Now()
		c, err := e.o.Dial(ctx, "tcp", address)
		if err != nil {
			return "", plain(err)
		}
		defer c.Close()
		return fmt.Sprintf("from this console to %s: connected in %s", clean(address), ms(e.o.Clock.Now().Sub(began))), nil
	})
}

// plain takes off what repeats the question.
func plain(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.New("no answer in time")
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

// tryCommand runs a command in the guest and waits for its end. One that does
// not end in time goes on there; the agent cannot be told to stop it.
func (e *exam) tryCommand(ctx context.Context, a config.Application) (string, error) {
	argv := make([]string, len(a.Command))
	for i, w := range a.Command {
		forms, err := e.filled(ctx, w, false)
		if err != nil {
			return "", err
		}
		argv[i] = forms[0]
	}
	began := e.o.Clock.Now()
	var started struct {
		PID int64 `json:"pid"`
	}
	args := map[string]any{"path": argv[0], "capture-output": true}
	if len(argv) > 1 {
		args["arg"] = argv[1:]
	}
	if err := e.askAgent(ctx, agentQuestion, "guest-exec", args, &started); err != nil {
		return "", err
	}
	for {
		var st struct {
			Exited bool   `json:"exited"`
			Code   int    `json:"exitcode"`
			Signal int    `json:"signal"`
			Out    string `json:"out-data"`
			Err    string `json:"err-data"`
		}
		err := e.askAgent(ctx, agentQuestion, "guest-exec-status", map[string]int64{"pid": started.PID}, &st)
		took := ms(e.o.Clock.Now().Sub(began))
		switch {
		case ctx.Err() != nil:
			return "", fmt.Errorf("not done after %s", took)
		case err != nil:
			return "", err
		case st.Exited && st.Signal != 0:
			return "", fmt.Errorf("ended by signal %d after %s", st.Signal, took)
		case st.Exited && st.Code != 0:
			return "", fmt.Errorf("exit %d after %s%s", st.Code, took, lastWords(st.Err, st.Out))
		case st.Exited:
			return fmt.Sprintf("in the guest, %s: exit 0 in %s", clean(strings.Join(argv, " ")), took), nil
		}
		// An end of ctx is told by the next question.
		_ = e.o.Clock.Sleep(ctx, pollExec)
	}
}

// lastWords is what a failed command wrote.
func lastWords(texts ...string) string {
	for _, t := range texts {
		raw, err := base64.StdEncoding.DecodeString(t)
		if s := clean(string(raw)); err == nil && s != "" {
			return ": " + s
		}
	}
	return ""
}
