package jobs

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"horcrux/engine/model"
)

// maxWish bounds what one line to a job may be.
const maxWish = 4 << 10

// answerWithin is how long a job may take to accept or refuse a wish; carrying
// it out takes longer and is seen in what the job says.
const answerWithin = 10 * time.Second

// ErrNoProcess says that no process works on the job, so none can be told.
var ErrNoProcess = errors.New("no process works on this job")

type answer struct {
	Err string `json:"err,omitempty"`
}

// socketPath names the socket through the open folder, since the name of a
// unix socket may have 107 bytes only.
func socketPath(dir *os.File) string {
	return fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), socketFile)
}

// Serve takes wishes for a job until ctx ends. The caller holds the job's lock.
func (s *Store) Serve(ctx context.Context, id model.JobID, handle func(model.Command) error) error {
	_ = os.Remove(filepath.Join(s.Dir(id), socketFile))
	dir, err := os.Open(s.Dir(id))
	if err != nil {
		return fmt.Errorf("cannot open the control socket of job %s: %w", id, err)
	}
	l, err := net.Listen("unix", socketPath(dir))
	if err != nil {
		dir.Close()
		return fmt.Errorf("cannot open the control socket of job %s: %w", id, err)
	}
	_ = os.Chmod(filepath.Join(s.Dir(id), socketFile), 0o600)
	go func() {
		<-ctx.Done()
		l.Close()
		dir.Close()
		_ = os.Remove(filepath.Join(s.Dir(id), socketFile))
	}()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serveOne(c, handle)
		}
	}()
	return nil
}

func serveOne(c net.Conn, handle func(model.Command) error) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(answerWithin))
	line, err := bufio.NewReaderSize(c, maxWish).ReadSlice('\n')
	if err != nil {
		return
	}
	var (
		cmd model.Command
		a   answer
	)
	if err := json.Unmarshal(line, &cmd); err != nil {
		a.Err = "cannot read the command: " + err.Error()
	} else if err := handle(cmd); err != nil {
		a.Err = err.Error()
	}
	_ = json.NewEncoder(c).Encode(a)
}

// Send passes a wish to the process of a job and returns its answer.
func (s *Store) Send(ctx context.Context, id model.JobID, cmd model.Command) error {
	dir, err := os.Open(s.Dir(id))
	if err != nil {
		return fmt.Errorf("%w: %q", ErrNoJob, id)
	}
	defer dir.Close()
	if !s.Alive(id) {
		return ErrNoProcess
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", socketPath(dir))
	if err != nil {
		return fmt.Errorf("cannot reach the process of job %s: %w", id, err)
	}
	defer c.Close()
	if t, ok := ctx.Deadline(); ok {
		_ = c.SetDeadline(t)
	}
	if err := json.NewEncoder(c).Encode(cmd); err != nil {
		return fmt.Errorf("cannot tell job %s: %w", id, err)
	}
	var a answer
	if err := json.NewDecoder(c).Decode(&a); err != nil {
		return fmt.Errorf("job %s did not answer: %w", id, err)
	}
	if a.Err != "" {
		return errors.New(a.Err)
	}
	return nil
}
