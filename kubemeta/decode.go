package kubemeta

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// PodList is a decoded list of pods.
type PodList struct {
	Pods            []*Pod
	ResourceVersion string
	// Malformed counts items that did not decode whole; what did decode is in
	// Pods if it has a uid.
	Malformed int
}

// DecodePodList reads a v1.PodList in JSON, as the API server and the kubelet
// send it, one pod at a time: no more than one pod's text is held. Unknown
// fields are skipped. Text that is not such a list is an error.
func DecodePodList(r io.Reader) (PodList, error) {
	var list PodList
	dec := json.NewDecoder(r)
	if err := expect(dec, '{'); err != nil {
		return list, err
	}
	hasItems := false
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return list, malformed("read field name", err)
		}
		switch key {
		case "metadata":
			err = list.decodeMetadata(dec)
		case "items":
			hasItems = true
			err = list.decodeItems(dec)
		default:
			var skipped json.RawMessage
			err = dec.Decode(&skipped)
		}
		if err != nil {
			return list, malformed(fmt.Sprintf("decode %.40q", key), err)
		}
	}
	if err := expect(dec, '}'); err != nil {
		return list, err
	}
	if !hasItems {
		return list, fmt.Errorf("decode pod list: no items: %w", errMalformed)
	}
	return list, nil
}

func (l *PodList) decodeMetadata(dec *json.Decoder) error {
	var meta struct {
		ResourceVersion string `json:"resourceVersion"`
	}
	err := dec.Decode(&meta)
	l.ResourceVersion = meta.ResourceVersion
	return err
}

func (l *PodList) decodeItems(dec *json.Decoder) error {
	open, err := dec.Token()
	if err != nil || open == nil { // "items": null is an empty list
		return err
	}
	if open != json.Delim('[') {
		return fmt.Errorf("items is %.40v, not a list: %w", open, errMalformed)
	}
	for dec.More() {
		var o podObject
		if err := dec.Decode(&o); isBroken(err) {
			return err
		} else if err != nil {
			l.Malformed++
		}
		if o.Metadata.UID != "" {
			l.Pods = append(l.Pods, o.pod())
		}
	}
	return expect(dec, ']')
}

// isBroken tells errors after which the stream cannot be read on from those of
// one value, such as a field of another type than expected.
func isBroken(err error) bool {
	var syntax *json.SyntaxError
	return errors.As(err, &syntax) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		isTransport(err)
}

// transportError marks an error of reading, as opposed to one of what was read.
type transportError struct{ err error }

func (e transportError) Error() string { return e.err.Error() }
func (e transportError) Unwrap() error { return e.err }

func isTransport(err error) bool {
	var transport transportError
	return errors.As(err, &transport)
}

func expect(dec *json.Decoder, delim json.Delim) error {
	token, err := dec.Token()
	if err != nil {
		return malformed(fmt.Sprintf("expect %q", delim), err)
	}
	if token != delim {
		return fmt.Errorf("decode pod list: %.40v where %q should be: %w", token, delim, errMalformed)
	}
	return nil
}

// malformed marks an error as one of the content, unless reading failed.
func malformed(operation string, err error) error {
	if isTransport(err) || errors.Is(err, errMalformed) {
		return fmt.Errorf("decode pod list: %s: %w", operation, err)
	}
	return fmt.Errorf("decode pod list: %s: %w: %w", operation, errMalformed, err)
}

// boundedReader fails with errTooLarge after left bytes, and marks the errors
// of what it reads from.
type boundedReader struct {
	r    io.Reader
	left int64
}

func (b *boundedReader) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, transportError{errTooLarge}
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		err = transportError{err}
	}
	return n, err
}

// watchEvent is one line of a watch.
type watchEvent struct {
	kind   string
	object podObject
	// status is set for kind ERROR.
	status *statusError
}

// decodeEvent reads the next event of a watch; io.EOF at its end.
func decodeEvent(dec *json.Decoder) (watchEvent, error) {
	var line struct {
		Type   string          `json:"type"`
		Object json.RawMessage `json:"object"`
	}
	if err := dec.Decode(&line); err != nil {
		if err == io.EOF { // between two events: the server ended the watch
			return watchEvent{}, err
		}
		return watchEvent{}, malformed("read watch event", err)
	}
	event := watchEvent{kind: line.Type}
	if line.Type == "ERROR" {
		var status struct {
			Code    int    `json:"code"`
			Message string `json:"message"`
		}
		if err := json.Unmarshal(line.Object, &status); err != nil {
			return watchEvent{}, malformed("decode watch error", err)
		}
		event.status = &statusError{code: status.Code, body: status.Message}
		return event, nil
	}
	if err := json.Unmarshal(line.Object, &event.object); err != nil {
		return watchEvent{}, malformed("decode watched pod", err)
	}
	return event, nil
}
