package kubelet

import (
	"slices"
	"unique"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
)

// identity is the name and labels of a series, in the order of labels.Labels.
// A container's labels are those of fifty series: each is held once, for all
// pages, as long as there is a series with it.
type identity []unique.Handle[labels.Label]

func identityOf(id labels.Labels) identity {
	made := make(identity, 0, id.Len())
	id.Range(func(l labels.Label) { made = append(made, unique.Make(l)) })
	return made
}

// is says whether both are the same series.
func (i identity) is(id labels.Labels) bool {
	return slices.Equal(i, identityOf(id))
}

// all gives the labels as Prometheus' library wants them, in new memory.
func (i identity) all() labels.Labels {
	made := make([]labels.Label, len(i))
	for k, l := range i {
		made[k] = l.Value()
	}
	return labels.New(made...)
}

func (i identity) name() string {
	for _, l := range i {
		if label := l.Value(); label.Name == model.MetricNameLabel {
			return label.Value
		}
	}
	return ""
}
