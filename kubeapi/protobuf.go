package kubeapi

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protowire"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// MaxObjectBytes bounds one object: etcd refuses those beyond 1.5 MiB, an API
// server of its own might keep larger ones.
const MaxObjectBytes = 8 << 20

// magic begins every object that Kubernetes encodes as protobuf; a
// runtime.Unknown follows.
const magic = "k8s\x00"

// Fields of Kubernetes' messages. Metadata is the first one of every kind and
// list, see the generated.proto of k8s.io/api and k8s.io/apimachinery.
const (
	unknownRaw       = 2
	objectMetadata   = 1
	listItems        = 2
	watchEventType   = 1
	watchEventObject = 2
	rawExtensionRaw  = 1
)

// protobufCodec reads what the API server sends as protobuf. Lists are read
// object by object, so that a page is never in memory as a whole.
type protobufCodec struct {
	mime string // what to accept
}

func (c protobufCodec) accept() string { return c.mime }

// list calls item with each object; data is valid until it returns.
func (c protobufCodec) list(from io.Reader, item func(data []byte)) (listMeta, error) {
	r := &protoReader{r: bufio.NewReaderSize(from, 32<<10)}
	var meta listMeta
	if err := r.magic(); err != nil {
		return meta, err
	}
	err := r.message(-1, func(field protowire.Number) (bool, error) {
		if field != unknownRaw {
			return false, nil
		}
		size, err := r.size()
		if err != nil {
			return true, err
		}
		return true, r.message(size, func(field protowire.Number) (bool, error) {
			return r.listField(field, &meta, item)
		})
	})
	if err == nil && meta.version == "" {
		err = fmt.Errorf("list without a version: %w", ErrMalformed)
	}
	return meta, err
}

func (r *protoReader) listField(field protowire.Number, meta *listMeta, item func([]byte)) (taken bool, err error) {
	switch field {
	case objectMetadata:
		data, err := r.bytes()
		if err != nil {
			return true, err
		}
		var m metav1.ListMeta
		if err := m.Unmarshal(data); err != nil {
			return true, fmt.Errorf("decode list metadata: %w: %w", ErrMalformed, err)
		}
		*meta = listMeta{version: m.ResourceVersion, next: m.Continue}
		return true, nil
	case listItems:
		data, err := r.bytes()
		if err != nil {
			return true, err
		}
		item(data)
		return true, nil
	}
	return false, nil
}

// protoReader reads protobuf from a stream.
type protoReader struct {
	r    *bufio.Reader
	read int64
	buf  []byte // of the last bytes
}

func (r *protoReader) magic() error {
	var b [len(magic)]byte
	if _, err := io.ReadFull(r.r, b[:]); err != nil {
		return transport(err)
	}
	if string(b[:]) != magic {
		return fmt.Errorf("begins with %q instead of %q: %w", b, magic, ErrMalformed)
	}
	return nil
}

// message reads the fields of a message of size bytes, or of what there is for
// a negative one. Fields that f does not take are skipped.
func (r *protoReader) message(size int64, f func(field protowire.Number) (taken bool, err error)) error {
	end := r.read + size
	for size < 0 || r.read < end {
		tag, err := binary.ReadUvarint(r)
		if size < 0 && err == io.EOF {
			return nil
		}
		if err != nil {
			return transport(err)
		}
		field, typ := protowire.DecodeTag(tag)
		if typ == protowire.BytesType {
			taken, err := f(field)
			if err != nil {
				return err
			}
			if taken {
				continue
			}
		}
		if err := r.skip(typ); err != nil {
			return err
		}
	}
	if size >= 0 && r.read != end {
		return fmt.Errorf("a field ends %d bytes after its message: %w", r.read-end, ErrMalformed)
	}
	return nil
}

// ReadByte makes it an io.ByteReader that counts.
func (r *protoReader) ReadByte() (byte, error) {
	b, err := r.r.ReadByte()
	if err == nil {
		r.read++
	}
	return b, err
}

func (r *protoReader) size() (int64, error) {
	size, err := binary.ReadUvarint(r)
	if err != nil {
		return 0, transport(err)
	}
	if size > 1<<40 {
		return 0, fmt.Errorf("a field of %d bytes: %w", size, ErrMalformed)
	}
	return int64(size), nil
}

// bytes reads a bounded field into a buffer that the next call reuses.
func (r *protoReader) bytes() ([]byte, error) {
	size, err := r.size()
	if err != nil {
		return nil, err
	}
	if size > MaxObjectBytes {
		return nil, fmt.Errorf("%d bytes: %w", size, ErrTooLarge)
	}
	if int64(cap(r.buf)) < size {
		r.buf = make([]byte, size)
	}
	n, err := io.ReadFull(r.r, r.buf[:size])
	r.read += int64(n)
	if err != nil {
		return nil, transport(err)
	}
	return r.buf[:size], nil
}

func (r *protoReader) skip(typ protowire.Type) error {
	var size int64
	var err error
	switch typ {
	case protowire.VarintType:
		_, err = binary.ReadUvarint(r)
	case protowire.Fixed32Type:
		size = 4
	case protowire.Fixed64Type:
		size = 8
	case protowire.BytesType:
		size, err = r.size()
	default:
		return fmt.Errorf("a field of wire type %d: %w", typ, ErrMalformed)
	}
	if err != nil {
		return transport(err)
	}
	n, err := io.CopyN(io.Discard, r.r, size)
	r.read += n
	if err != nil {
		return transport(err)
	}
	return nil
}

// events reads a watch: each event behind its length in four bytes.
func (c protobufCodec) events(from io.Reader) eventReader {
	r := bufio.NewReader(from)
	var buf []byte
	return func() (event, error) {
		var head [4]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			if err == io.EOF { // between two events: the server ended the watch
				return event{}, err
			}
			return event{}, transport(err)
		}
		size := binary.BigEndian.Uint32(head[:])
		if size > MaxObjectBytes {
			return event{}, fmt.Errorf("an event of %d bytes: %w", size, ErrTooLarge)
		}
		if uint32(cap(buf)) < size {
			buf = make([]byte, size)
		}
		buf = buf[:size]
		if _, err := io.ReadFull(r, buf); err != nil {
			return event{}, transport(err)
		}
		return protoEvent(buf)
	}
}

// protoEvent reads a metav1.WatchEvent.
func protoEvent(data []byte) (event, error) {
	kind, err := protoField(data, watchEventType)
	if err != nil {
		return event{}, err
	}
	extension, err := protoField(data, watchEventObject)
	if err != nil {
		return event{}, err
	}
	raw, err := protoField(extension, rawExtensionRaw)
	if err != nil {
		return event{}, err
	}
	if len(raw) < len(magic) || string(raw[:len(magic)]) != magic {
		return event{}, fmt.Errorf("watched object begins with %.4q instead of %q: %w", raw, magic, ErrMalformed)
	}
	object, err := protoField(raw[len(magic):], unknownRaw)
	if err != nil {
		return event{}, err
	}
	e := event{kind: string(kind), data: object}
	switch e.kind {
	case eventError:
		var status metav1.Status
		if err := status.Unmarshal(object); err != nil {
			return event{}, fmt.Errorf("decode watch error: %w: %w", ErrMalformed, err)
		}
		e.status = &StatusError{Code: int(status.Code), Body: status.Message}
	case eventBookmark:
		metadata, err := protoField(object, objectMetadata)
		if err != nil {
			return event{}, err
		}
		var m metav1.ObjectMeta
		if err := m.Unmarshal(metadata); err != nil {
			return event{}, fmt.Errorf("decode bookmark: %w: %w", ErrMalformed, err)
		}
		e.version = m.ResourceVersion
	}
	return e, nil
}

// protoField finds a field of type bytes; nil if there is none.
func protoField(data []byte, want protowire.Number) ([]byte, error) {
	for len(data) > 0 {
		field, typ, n := protowire.ConsumeTag(data)
		if n < 0 {
			return nil, fmt.Errorf("decode watch event: %w: %w", ErrMalformed, protowire.ParseError(n))
		}
		data = data[n:]
		if field == want && typ == protowire.BytesType {
			value, n := protowire.ConsumeBytes(data)
			if n < 0 {
				return nil, fmt.Errorf("decode watch event: %w: %w", ErrMalformed, protowire.ParseError(n))
			}
			return value, nil
		}
		if n = protowire.ConsumeFieldValue(field, typ, data); n < 0 {
			return nil, fmt.Errorf("decode watch event: %w: %w", ErrMalformed, protowire.ParseError(n))
		}
		data = data[n:]
	}
	return nil, nil
}
