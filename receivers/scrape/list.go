package scrape

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// listMeta is the metadata of a list.
type listMeta struct {
	ResourceVersion string `json:"resourceVersion"`
	Continue        string `json:"continue"`
}

var (
	errTooLarge  = errors.New("an object is larger than 8 MiB")
	errMalformed = errors.New("that is no JSON of the API server's")
)

// decodeList reads a list and calls item with the text of each object, which is
// valid until the next: a list from the API server's cache comes whole, and is
// not to be in memory as a whole.
func decodeList(from io.Reader, item func(text json.RawMessage)) (m listMeta, err error) {
	bounded := &boundedReader{r: from, left: maxObjectBytes}
	dec := json.NewDecoder(bounded)
	if err := expect(dec, json.Delim('{')); err != nil {
		return m, malformed(err)
	}
	var text json.RawMessage
	for dec.More() {
		bounded.left = maxObjectBytes
		key, err := dec.Token()
		if err != nil {
			return m, malformed(err)
		}
		switch key {
		case "metadata":
			err = dec.Decode(&m)
		case "items":
			err = decodeItems(dec, bounded, item)
		default:
			err = dec.Decode(&text)
		}
		if err != nil {
			return m, malformed(err)
		}
	}
	if err := expect(dec, json.Delim('}')); err != nil {
		return m, malformed(err)
	}
	if m.ResourceVersion == "" {
		return m, outOfStep{fmt.Errorf("list without a version: %w", errMalformed)}
	}
	return m, nil
}

func decodeItems(dec *json.Decoder, bounded *boundedReader, item func(json.RawMessage)) error {
	open, err := dec.Token()
	if err != nil || open == nil { // null is an empty list
		return err
	}
	if open != json.Delim('[') {
		return fmt.Errorf("%.40v where a list should be: %w", open, errMalformed)
	}
	var text json.RawMessage
	for dec.More() {
		bounded.left = maxObjectBytes
		if err := dec.Decode(&text); err != nil {
			return err
		}
		item(text)
	}
	return expect(dec, json.Delim(']'))
}

func expect(dec *json.Decoder, delim json.Delim) error {
	token, err := dec.Token()
	if err == nil && token != delim {
		err = fmt.Errorf("%.40v where %q should be: %w", token, rune(delim), errMalformed)
	}
	return err
}

// malformed tells errors of what was read from those of reading.
func malformed(err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	if errors.As(err, &syntax) || errors.As(err, &kind) || errors.Is(err, errMalformed) || errors.Is(err, errTooLarge) {
		return outOfStep{err}
	}
	if err == io.EOF { // in the middle
		return io.ErrUnexpectedEOF
	}
	return err
}

// boundedReader fails with errTooLarge after left bytes.
type boundedReader struct {
	r    io.Reader
	left int
}

func (b *boundedReader) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLarge
	}
	n, err := b.r.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
