package nodeagent

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strconv"
	"time"
)

const followInterval = 50 * time.Millisecond

// logOptions are the query parameters of /containerLogs.
type logOptions struct {
	follow, previous, timestamps bool
	tailLines, limitBytes        int64 // -1: no limit
	since                        time.Time
	stream                       string // empty: both
}

func parseLogOptions(query url.Values, now time.Time) (logOptions, error) {
	o := logOptions{tailLines: -1, limitBytes: -1}
	for name, target := range map[string]*bool{"follow": &o.follow, "previous": &o.previous, "timestamps": &o.timestamps} {
		if value := query.Get(name); value != "" {
			parsed, err := strconv.ParseBool(value)
			if err != nil {
				return o, fmt.Errorf("%s: %w", name, err)
			}
			*target = parsed
		}
	}
	for name, target := range map[string]*int64{"tailLines": &o.tailLines, "limitBytes": &o.limitBytes} {
		if value := query.Get(name); value != "" {
			parsed, err := strconv.ParseInt(value, 10, 64)
			if err != nil || parsed < 0 {
				return o, fmt.Errorf("%s: %q is not a number of at least 0", name, value)
			}
			*target = parsed
		}
	}
	if value := query.Get("sinceSeconds"); value != "" {
		seconds, err := strconv.ParseInt(value, 10, 64)
		if err != nil || seconds < 0 {
			return o, fmt.Errorf("sinceSeconds: %q is not a number of at least 0", value)
		}
		o.since = now.Add(-time.Duration(seconds) * time.Second)
	}
	if value := query.Get("sinceTime"); value != "" {
		since, err := time.Parse(time.RFC3339, value)
		if err != nil {
			return o, fmt.Errorf("sinceTime: %w", err)
		}
		o.since = since
	}
	switch value := query.Get("stream"); value {
	case "", "All":
	case "Stdout":
		o.stream = "stdout"
	case "Stderr":
		o.stream = "stderr"
	default:
		return o, fmt.Errorf("stream: %q is not All, Stdout or Stderr", value)
	}
	return o, nil
}

// logEntry is one line of a log file.
type logEntry struct {
	time   []byte
	stream string
	text   []byte // with its line end, when it is the end of a line
}

func parseLogLine(line []byte) (logEntry, bool) {
	parts := bytes.SplitN(line, []byte(" "), 4)
	if len(parts) != 4 || !bytes.HasSuffix(line, []byte("\n")) {
		return logEntry{}, false
	}
	text := parts[3]
	if string(parts[2]) == "P" {
		text = bytes.TrimSuffix(text, []byte("\n"))
	}
	return logEntry{time: parts[0], stream: string(parts[1]), text: text}, true
}

// logCopier writes the chosen part of a log to out.
type logCopier struct {
	options logOptions
	out     io.Writer
	flush   func()
	since   []byte
	left    int64
}

var errLimitReached = errors.New("limitBytes reached")

// copyLogs writes a container's log and, when following, goes on until running is false or ctx ends.
func copyLogs(ctx context.Context, file string, o logOptions, running func() bool, out io.Writer, flush func()) error {
	c := &logCopier{options: o, out: out, flush: flush, left: o.limitBytes}
	if !o.since.IsZero() {
		c.since = []byte(o.since.UTC().Format(logTime))
	}
	if o.previous {
		file = previousLog(file)
	}
	err := c.run(ctx, file, running)
	if errors.Is(err, errLimitReached) {
		return nil
	}
	return err
}

func (c *logCopier) run(ctx context.Context, file string, running func() bool) error {
	in, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	if err := c.copyPast(file, in); err != nil {
		return err
	}
	reader := bufio.NewReader(in)
	var partial []byte
	for {
		// Asked before reading: what is written before the end of the process is then read for sure.
		more := c.options.follow && running()
		if partial, err = c.copyNew(reader, partial); err != nil {
			return err
		}
		c.flush()
		if next := rotated(file, in); next != nil {
			if _, err = c.copyNew(reader, partial); err != nil {
				return err
			}
			_ = in.Close()
			in, reader, partial = next, bufio.NewReader(next), nil
			continue
		}
		if !more {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(followInterval):
		}
	}
}

// copyPast writes the rotated file and, with tailLines, picks the last lines of both, leaving in where copyNew goes on.
func (c *logCopier) copyPast(file string, in *os.File) error {
	old, err := readOther(file+".1", in)
	if err != nil {
		return err
	}
	if c.options.tailLines < 0 {
		return c.writeAll(old)
	}
	current, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	// A line still being written belongs to what comes next.
	whole := bytes.LastIndexByte(current, '\n') + 1
	if _, err := in.Seek(int64(whole), io.SeekStart); err != nil {
		return err
	}
	return c.writeAll(c.lastLines(append(old, current[:whole]...)))
}

// readOther reads a file unless it is the open one: it was rotated after it was opened.
func readOther(name string, open *os.File) ([]byte, error) {
	info, err := os.Stat(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	if mine, err := open.Stat(); err != nil || os.SameFile(mine, info) {
		return nil, err
	}
	return os.ReadFile(name)
}

func (c *logCopier) lastLines(data []byte) []byte {
	wanted, at := c.options.tailLines, len(data)
	for at > 0 {
		start := bytes.LastIndexByte(data[:at-1], '\n') + 1
		entry, ok := parseLogLine(data[start:at])
		if ok && (c.options.stream == "" || entry.stream == c.options.stream) && bytes.HasSuffix(entry.text, []byte("\n")) {
			if wanted == 0 {
				break
			}
			wanted--
		}
		at = start
	}
	return data[at:]
}

func (c *logCopier) writeAll(data []byte) error {
	for len(data) > 0 {
		end := bytes.IndexByte(data, '\n') + 1
		if end == 0 {
			return nil
		}
		if err := c.writeLine(data[:end]); err != nil {
			return err
		}
		data = data[end:]
	}
	return nil
}

// copyNew writes the lines that are complete and returns the beginning of the one that is not.
func (c *logCopier) copyNew(reader *bufio.Reader, partial []byte) ([]byte, error) {
	for {
		part, err := reader.ReadBytes('\n')
		partial = append(partial, part...)
		if errors.Is(err, io.EOF) {
			return partial, nil
		}
		if err != nil {
			return partial, err
		}
		if err := c.writeLine(partial); err != nil {
			return nil, err
		}
		partial = partial[:0]
	}
}

func (c *logCopier) writeLine(line []byte) error {
	entry, ok := parseLogLine(line)
	if !ok || c.options.stream != "" && entry.stream != c.options.stream || c.since != nil && bytes.Compare(entry.time, c.since) < 0 {
		return nil
	}
	text := entry.text
	if c.options.timestamps {
		text = append(append(append([]byte{}, entry.time...), ' '), text...)
	}
	if c.left >= 0 && int64(len(text)) > c.left {
		text = text[:c.left]
	}
	if _, err := c.out.Write(text); err != nil {
		return err
	}
	if c.left >= 0 {
		if c.left -= int64(len(text)); c.left == 0 {
			return errLimitReached
		}
	}
	return nil
}

// rotated opens the file anew when it is not the open one any more.
func rotated(file string, open *os.File) *os.File {
	next, err := os.Open(file)
	if err != nil {
		return nil
	}
	a, errA := open.Stat()
	b, errB := next.Stat()
	if errA != nil || errB != nil || os.SameFile(a, b) {
		_ = next.Close()
		return nil
	}
	return next
}
