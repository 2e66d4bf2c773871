package proxy_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// A wireRequest is a request as its bytes say, read without net/http.
type wireRequest struct {
	method, target string
	header         [][2]string
	body           []byte
	complete       bool
}

// Ends of a connection: between two requests, and within one.
var (
	errWireEnd = errors.New("the connection has ended")
	errWireCut = errors.New("the connection has ended within a request")
)

var (
	requestLine = regexp.MustCompile("^([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([^\\x00-\\x20\\x7f]+) HTTP/1\\.1$")
	// A line folded into the next, a blank before the colon and control characters
	// are none.
	headerLine    = regexp.MustCompile("^([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?([^\\x00-\\x08\\x0a-\\x1f\\x7f]*)$")
	contentLength = regexp.MustCompile(`^(0|[1-9][0-9]{0,15})$`)
	chunkSize     = regexp.MustCompile(`^(0|[1-9a-f][0-9a-f]{0,13})$`)
)

// readWireLine reads a line that ends as it must.
func readWireLine(in *bufio.Reader) (string, error) {
	line, err := in.ReadString('\n')
	if err != nil {
		return "", errWireCut // what there was of it means nothing
	}
	line, whole := strings.CutSuffix(line, "\r\n")
	if !whole || strings.ContainsAny(line, "\r\n") {
		return "", fmt.Errorf("line %.80q does not end in CRLF", line)
	}
	return line, nil
}

// readWireHead reads the head of a request that all must read alike.
func readWireHead(in *bufio.Reader) (*wireRequest, error) {
	if _, err := in.Peek(1); err != nil {
		return nil, errWireEnd
	}
	line, err := readWireLine(in)
	if err != nil {
		return nil, err
	}
	parts := requestLine.FindStringSubmatch(line)
	if parts == nil {
		return nil, fmt.Errorf("request line %.80q", line)
	}
	r := &wireRequest{method: parts[1], target: parts[2]}
	for {
		if line, err = readWireLine(in); err != nil {
			return nil, err
		}
		if line == "" {
			return r, r.check()
		}
		if parts = headerLine.FindStringSubmatch(line); parts == nil {
			return nil, fmt.Errorf("header line %.80q", line)
		}
		r.header = append(r.header, [2]string{parts[1], parts[2]})
	}
}

// check holds the head to one Host and one framing.
func (r *wireRequest) check() error {
	length, encoding := r.values("Content-Length"), r.values("Transfer-Encoding")
	switch {
	case len(r.values("Host")) != 1:
		return fmt.Errorf("%q for a Host", r.values("Host"))
	case len(length)+len(encoding) > 1:
		return fmt.Errorf("lengths %q beside encodings %q", length, encoding)
	case len(length) == 1 && !contentLength.MatchString(length[0]):
		return fmt.Errorf("length %q", length[0])
	case len(encoding) == 1 && encoding[0] != "chunked":
		return fmt.Errorf("encoding %q", encoding[0])
	}
	return nil
}

// values returns those of a header, in any case.
func (r *wireRequest) values(name string) (values []string) {
	for _, h := range r.header {
		if strings.EqualFold(h[0], name) {
			values = append(values, h[1])
		}
	}
	return values
}

// readBody reads the body of a request whose head was read.
func (r *wireRequest) readBody(in *bufio.Reader) error {
	if length := r.values("Content-Length"); len(length) == 1 {
		n, err := strconv.ParseInt(length[0], 10, 64)
		if err == nil {
			err = r.take(in, n)
		}
		r.complete = err == nil
		return err
	}
	if len(r.values("Transfer-Encoding")) == 0 {
		r.complete = true
		return nil
	}
	for {
		more, err := r.readChunk(in)
		if err != nil {
			return err
		}
		if !more {
			r.complete = true
			return nil
		}
	}
}

// readChunk reports whether more may follow.
func (r *wireRequest) readChunk(in *bufio.Reader) (more bool, err error) {
	line, err := readWireLine(in)
	if err != nil {
		return false, err
	}
	if !chunkSize.MatchString(line) {
		return false, fmt.Errorf("chunk size %.80q", line)
	}
	size, err := strconv.ParseInt(line, 16, 64)
	if err == nil {
		err = r.take(in, size)
	}
	if err != nil {
		return false, err
	}
	if line, err = readWireLine(in); err == nil && line != "" {
		err = fmt.Errorf("%.80q behind a chunk of %d bytes", line, size)
	}
	return size > 0, err
}

// take reads the next n bytes of the body.
func (r *wireRequest) take(in *bufio.Reader, n int64) error {
	content, err := io.ReadAll(io.LimitReader(in, n))
	r.body = append(r.body, content...)
	if err != nil || int64(len(content)) < n {
		return errWireCut
	}
	return nil
}

// readWire reads a request.
func readWire(in *bufio.Reader) (*wireRequest, error) {
	r, err := readWireHead(in)
	if err == nil {
		err = r.readBody(in)
	}
	return r, err
}
