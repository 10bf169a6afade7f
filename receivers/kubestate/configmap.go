package kubestate

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// configMaps asks for metadata only: nothing here tells of what is in them.
func configMaps() *kind {
	type configMap = metav1.PartialObjectMetadata
	return newKind(spec[configMap]{
		resource: "configmaps", path: "api/v1/configmaps", goType: "*v1.ConfigMap", encoding: asMetadata,
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
