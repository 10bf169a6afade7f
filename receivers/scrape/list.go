package scrape

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/crowsnest-o11y/crowsnest/kubeapi"
)

// listMeta is the metadata of a list.
type listMeta struct {
	ResourceVersion string `json:"resourceVersion"`
	Continue        string `json:"continue"`
}

// decodeList reads a list and calls item with the text of each object, which is
// valid until the next: a list from the API server's cache comes whole, and is
// not to be in memory as a whole.
func decodeList(from io.Reader, item func(text json.RawMessage)) (m listMeta, err error) {
	bounded := &kubeapi.BoundedReader{R: from, Left: kubeapi.MaxObjectBytes}
	dec := json.NewDecoder(bounded)
	if err := expect(dec, json.Delim('{')); err != nil {
		return m, malformed(err)
	}
	var text json.RawMessage
	for dec.More() {
		bounded.Left = kubeapi.MaxObjectBytes
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
		return m, outOfStep{fmt.Errorf("list without a version: %w", kubeapi.ErrMalformed)}
	}
	return m, nil
}

func decodeItems(dec *json.Decoder, bounded *kubeapi.BoundedReader, item func(json.RawMessage)) error {
	open, err := dec.Token()
	if err != nil || open == nil { // null is an empty list
		return err
	}
	if open != json.Delim('[') {
		return fmt.Errorf("%.40v where a list should be: %w", open, kubeapi.ErrMalformed)
	}
	var text json.RawMessage
	for dec.More() {
		bounded.Left = kubeapi.MaxObjectBytes
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
		err = fmt.Errorf("%.40v where %q should be: %w", token, rune(delim), kubeapi.ErrMalformed)
	}
	return err
}

// malformed tells errors of what was read from those of reading.
func malformed(err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	if errors.As(err, &syntax) || errors.As(err, &kind) || errors.Is(err, kubeapi.ErrMalformed) || errors.Is(err, kubeapi.ErrTooLarge) {
		return outOfStep{err}
	}
	if err == io.EOF { // in the middle
		return io.ErrUnexpectedEOF
	}
	return err
}
