package kubestate

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/crowsnest-o11y/crowsnest/kubeapi"
)

// secretTypeColumn is that of NAME, TYPE, DATA, AGE as kubectl get secrets shows
// them. DATA is how many entries there are.
const secretTypeColumn = 1

// secrets asks for what kubectl prints and metadata: the values of secrets do not
// reach this program, and still it knows their types. RBAC has no verb for that
// difference, so the permission to list secrets is needed all the same.
func secrets() *kind {
	type secret = metav1.PartialObjectMetadata
	return newKind(spec[tableRow]{
		resource: "secrets", path: "api/v1/secrets", goType: "*v1.Secret", encoding: kubeapi.AsTable, sensitive: true,
		identity: []string{"namespace", "secret"},
		identify: func(r *tableRow) []string { return []string{r.Metadata.Namespace, r.Metadata.Name} },
		families: []family[tableRow]{
			existsFamily[tableRow]("secret", "Information about secret."),
			{
				name: "kube_secret_type", help: "Type about secret.", labels: []string{"type"},
				write: func(w *writer, r *tableRow) { w.put(1, r.cell(secretTypeColumn)) },
			},
			ofRow(createdFamily[secret]("secret")),
			ofRow(versionFamily[secret]("secret", "secret")),
			ofRow(ownerFamily[secret]("secret", "Secret")),
			ofRow(labelsFamily[secret]("secret")),
			ofRow(annotationsFamily[secret]("secret")),
		},
	})
}

// ofRow makes a family of metadata one of the rows that they come with.
func ofRow(f family[metav1.PartialObjectMetadata]) family[tableRow] {
	return family[tableRow]{
		name: f.name, help: f.help, typ: f.typ, labels: f.labels, open: f.open,
		write: func(w *writer, r *tableRow) { f.write(w, &r.Metadata) },
	}
}
