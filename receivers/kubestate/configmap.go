package kubestate

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/crowsnest-o11y/crowsnest/kubeapi"
)

// configMaps asks for metadata only: nothing here tells of what is in them.
func configMaps() *kind {
	type configMap = metav1.PartialObjectMetadata
	return newKind(spec[configMap]{
		resource: "configmaps", path: "api/v1/configmaps", goType: "*v1.ConfigMap", encoding: kubeapi.AsMetadata,
		identity: []string{"namespace", "configmap"},
		identify: namespacedName[configMap],
		families: []family[configMap]{
			existsFamily[configMap]("configmap", "Information about configmap."),
			createdFamily[configMap]("configmap"),
			versionFamily[configMap]("configmap", "the configmap"),
			labelsFamily[configMap]("configmap"),
			annotationsFamily[configMap]("configmap"),
		},
	})
}
