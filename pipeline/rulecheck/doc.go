// Package rulecheck tells for every rule, panel and annotation whether it can ever
// return data: a query that reads a metric which does not exist, selects a label value
// that nothing has, or joins series that have no partners is empty for ever,
// and an alert made of it never fires. Nobody notices, since an alert that does
// not fire looks like one that has nothing to tell.
//
// Queries come from Prometheus rule files, PrometheusRule objects and Grafana
// dashboards (files.go); Grafana's variables stand for anything (variables.go).
// A PromQL query is evaluated with its conditions taken out: comparisons keep
// all series, the right side of "unless" is left aside (strip.go). If that
// gives series, the query can return data. If not, the parts are asked one by one for
// the reason (diagnose.go): which metric is missing, which matcher matches
// nothing, which two sides of a join share no labels. What has ended within the
// lookback counts as being there. What another rule of the same run records is
// followed to that rule.
//
// LogQL queries are run as they are.
package rulecheck
