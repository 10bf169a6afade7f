package kubeapi

import (
	"encoding/json"
	"fmt"
	"io"
)

// Encoding is the form in which the API server is asked for objects.
type Encoding int

const (
	// AsProtobuf is for the kinds that Kubernetes itself defines.
	AsProtobuf Encoding = iota
	// AsMetadata asks for nothing but the objects' metadata, as
	// metav1.PartialObjectMetadata in protobuf.
	AsMetadata
	// AsTable asks for what kubectl prints and the objects' metadata, in JSON,
	// which keeps the values of secrets away from us; an object is a row.
	AsTable
	// AsJSON is for custom resources, and for what is trimmed while it is decoded.
	AsJSON
)

// codec reads lists and watches in one form.
type codec interface {
	// accept is the header of requests.
	accept() string
	// list reads a list and calls item with each encoded object.
	list(from io.Reader, item func(data []byte)) (listMeta, error)
	// events begins to read a watch.
	events(from io.Reader) eventReader
}

// eventReader gives the next event of a watch; io.EOF at its end. An event's
// data is valid until the next call.
type eventReader func() (event, error)

type listMeta struct {
	version string
	next    string // where the next page begins; "" on the last
}

// The kinds of events that are not about an object.
const (
	eventError    = "ERROR"
	eventBookmark = "BOOKMARK"
)

// event is one of a watch.
type event struct {
	kind    string
	data    []byte       // the encoded object
	version string       // of a bookmark
	status  *StatusError // of an error
}

const tableParameters = ";as=Table;v=v1;g=meta.k8s.io"

func codecOf(e Encoding) codec {
	switch e {
	case AsMetadata:
		return protobufCodec{"application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"}
	case AsTable:
		return jsonCodec{mime: "application/json" + tableParameters, items: "rows"}
	case AsJSON:
		return jsonCodec{mime: "application/json", items: "items"}
	}
	return protobufCodec{"application/vnd.kubernetes.protobuf"}
}

// watching is the accept header of a watch: of single objects, not of lists.
func watching(e Encoding, c codec) string {
	if e == AsMetadata {
		return "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
	}
	return c.accept()
}

// jsonCodec reads lists and watches in JSON.
type jsonCodec struct {
	mime  string
	items string // the field with the objects
}

func (c jsonCodec) accept() string { return c.mime }

func (c jsonCodec) list(from io.Reader, item func(data []byte)) (listMeta, error) {
	bounded := &BoundedReader{R: from}
	dec := json.NewDecoder(bounded)
	var list listMeta
	bounded.Left = MaxObjectBytes
	if err := expect(dec, '{'); err != nil {
		return list, err
	}
	for dec.More() {
		bounded.Left = MaxObjectBytes
		key, err := dec.Token()
		if err != nil {
			return list, AsMalformed(err)
		}
		switch key {
		case "metadata":
			var m jsonMeta
			err = dec.Decode(&m)
			list = listMeta{version: m.ResourceVersion, next: m.Continue}
		case c.items:
			err = listJSON(dec, bounded, item)
		default:
			var skipped json.RawMessage
			err = dec.Decode(&skipped)
		}
		if err != nil {
			return list, AsMalformed(err)
		}
	}
	if err := expect(dec, '}'); err != nil {
		return list, err
	}
	if list.version == "" {
		return list, fmt.Errorf("list without a version: %w", ErrMalformed)
	}
	return list, nil
}

func listJSON(dec *json.Decoder, bounded *BoundedReader, item func([]byte)) error {
	open, err := dec.Token()
	if err != nil || open == nil { // null is an empty list
		return err
	}
	if open != json.Delim('[') {
		return fmt.Errorf("%.40v where a list should be: %w", open, ErrMalformed)
	}
	var data json.RawMessage
	for dec.More() {
		bounded.Left = MaxObjectBytes
		if err := dec.Decode(&data); err != nil {
			return err
		}
		item(data)
	}
	return expect(dec, ']')
}

func (c jsonCodec) events(from io.Reader) eventReader {
	bounded := &BoundedReader{R: from}
	dec := json.NewDecoder(bounded)
	return func() (event, error) {
		bounded.Left = MaxObjectBytes
		var line struct {
			Type   string          `json:"type"`
			Object json.RawMessage `json:"object"`
		}
		if err := dec.Decode(&line); err != nil {
			if err == io.EOF {
				return event{}, err
			}
			return event{}, AsMalformed(err)
		}
		return c.event(line.Type, line.Object)
	}
}

// jsonMeta is the metadata of an object or a list.
type jsonMeta struct {
	ResourceVersion string `json:"resourceVersion"`
	Continue        string `json:"continue"`
}

// event reads the object of an event; in a table it is the one row.
func (c jsonCodec) event(kind string, object json.RawMessage) (event, error) {
	e := event{kind: kind, data: object}
	if kind == eventError {
		var status struct {
			Code    int    `json:"code"`
			Message string `json:"message"`
		}
		err := json.Unmarshal(object, &status)
		e.status = &StatusError{Code: status.Code, Body: status.Message}
		return e, AsMalformed(err)
	}
	if kind != eventBookmark && c.items != "rows" {
		return e, nil
	}
	var o struct {
		Metadata jsonMeta          `json:"metadata"`
		Rows     []json.RawMessage `json:"rows"`
	}
	if err := json.Unmarshal(object, &o); err != nil {
		return e, AsMalformed(err)
	}
	e.version = o.Metadata.ResourceVersion
	if kind != eventBookmark && len(o.Rows) != 1 {
		return e, fmt.Errorf("table of %d rows in an event: %w", len(o.Rows), ErrMalformed)
	}
	if len(o.Rows) > 0 {
		e.data = o.Rows[0]
	}
	return e, nil
}

func expect(dec *json.Decoder, delim json.Delim) error {
	token, err := dec.Token()
	if err != nil {
		return AsMalformed(err)
	}
	if token != delim {
		return fmt.Errorf("%.40v where %q should be: %w", token, delim, ErrMalformed)
	}
	return nil
}
