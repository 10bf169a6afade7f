// Package rules defines the recording rules and alerts that Crowsnest ships.
//
// Recording rules and alerts that kubernetes-mixin, node-mixin and
// kube-state-metrics-mixin have keep their names, labels and meaning, with the
// jobs of kube-prometheus, so that dashboards and routes made for those work;
// the rest covers what they lack, and Crowsnest's own pipeline.
//
// Each File is rendered three times, and a test keeps the renders current
// (go test ./dashboards/rules -update writes them):
//
//   - <name>.yaml: a rule file for Prometheus or for Loki's ruler, with defaults;
//   - promtool/<name>.yaml: "promtool test rules" cases, made of testdata;
//   - deploy/helm/crowsnest/files/rules/<name>.yaml: the same rules with
//     placeholders, which the chart fills from its values.
//
// A placeholder is a name in angle brackets. <runbooks> and <dashboards> are
// base URLs; <ns> is where a matcher of the label namespace goes; every other
// one is a parameter of its alert. Each alert has a page in ../runbooks.
package rules
