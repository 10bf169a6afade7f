package pipeline

import (
	"context"
	"encoding"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/otelcol"
)

// strictKeys refuses configuration keys that no component reads. The collector
// does that itself except where a component squashes confighttp.ClientConfig
// into its own configuration: since that type has an Unmarshal method of its
// own, confmap v1.67.0 ignores unknown keys beside and below it
// (unmarshalerEmbeddedStructsHookFunc), and a mistyped ca_file would go
// unnoticed.
type strictKeys struct{ factories otelcol.Factories }

func newStrictKeys(factories func() (otelcol.Factories, error)) confmap.ConverterFactory {
	return confmap.NewConverterFactory(func(confmap.ConverterSettings) confmap.Converter {
		f, err := factories()
		if err != nil {
			panic("BUG: " + err.Error()) // the lists are fixed at compile time
		}
		return strictKeys{f}
	})
}

// Convert implements confmap.Converter; it changes nothing.
func (s strictKeys) Convert(_ context.Context, conf *confmap.Conf) error {
	return errors.Join(
		checkSection(conf, "receivers", s.factories.Receivers),
		checkSection(conf, "processors", s.factories.Processors),
		checkSection(conf, "exporters", s.factories.Exporters),
		checkSection(conf, "extensions", s.factories.Extensions),
		checkSection(conf, "connectors", s.factories.Connectors),
	)
}

func checkSection[F component.Factory](conf *confmap.Conf, section string, factories map[component.Type]F) error {
	components, _ := conf.Get(section).(map[string]any)
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(components)) {
		var id component.ID
		if id.UnmarshalText([]byte(name)) != nil {
			continue // the collector says what is wrong with it
		}
		factory, known := factories[id.Type()]
		if !known {
			continue // likewise
		}
		t := reflect.TypeOf(factory.CreateDefaultConfig())
		errs = append(errs, checkKeys(section+"::"+name, components[name], t)...)
	}
	return errors.Join(errs...)
}

// checkKeys compares the keys of a value with the fields of the struct that it
// is decoded into. What is not a struct of plain fields decodes itself and is
// left alone.
func checkKeys(path string, value any, t reflect.Type) []error {
	t, optional := plainStruct(t)
	keys, isMap := value.(map[string]any)
	if !isMap || t == nil {
		return nil
	}
	fields := structKeys(t)
	if fields == nil {
		return nil
	}
	if optional {
		fields["enabled"] = reflect.TypeFor[bool]()
	}
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		field, known := fields[key]
		if !known {
			errs = append(errs, fmt.Errorf("%s: unknown key %q; known are: %s", path, key,
				strings.Join(slices.Sorted(maps.Keys(fields)), ", ")))
			continue
		}
		errs = append(errs, checkKeys(path+"::"+key, keys[key], field)...)
	}
	return errs
}

// plainStruct unwraps pointers and configoptional.Optional; nil if what is
// inside is no struct or reads itself from text.
func plainStruct(t reflect.Type) (_ reflect.Type, optional bool) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() == reflect.Struct && strings.HasPrefix(t.Name(), "Optional[") {
		inner, ok := t.FieldByName("value")
		if !ok {
			return nil, true
		}
		t, optional = inner.Type, true
	}
	if t.Kind() != reflect.Struct || reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return nil, optional
	}
	return t, optional
}

// structKeys maps the keys that mapstructure reads into a struct to the types
// of their fields, squashed structs included. A field that takes all remaining
// keys makes every key known: nil.
func structKeys(t reflect.Type) map[string]reflect.Type {
	fields := map[string]reflect.Type{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("mapstructure"), ",")
		switch {
		case strings.Contains(options, "remain"):
			return nil
		case strings.Contains(options, "squash"):
			inner, _ := plainStruct(f.Type)
			if inner == nil {
				return nil
			}
			squashed := structKeys(inner)
			if squashed == nil {
				return nil
			}
			maps.Copy(fields, squashed)
		case !f.IsExported() || name == "-":
		case name == "":
			fields[strings.ToLower(f.Name)] = f.Type
		default:
			fields[name] = f.Type
		}
	}
	return fields
}
