package kubestate

import rbacv1 "k8s.io/api/rbac/v1"

func roles() *kind {
	return newKind(spec[rbacv1.Role]{
		resource: "roles", path: "apis/rbac.authorization.k8s.io/v1/roles", goType: "*v1.Role",
		identity: []string{"namespace", "role"},
		identify: namespacedName[rbacv1.Role],
		families: append(roleFamilies[rbacv1.Role]("role", "the role"),
			existsFamily[rbacv1.Role]("role", "Information about role.")),
	})
}

func clusterRoles() *kind {
	return newKind(spec[rbacv1.ClusterRole]{
		resource: "clusterroles", path: "apis/rbac.authorization.k8s.io/v1/clusterroles", goType: "*v1.ClusterRole",
		identity: []string{"clusterrole"},
		identify: clusterName[rbacv1.ClusterRole],
		families: append(roleFamilies[rbacv1.ClusterRole]("clusterrole", "the cluster role"),
			existsFamily[rbacv1.ClusterRole]("clusterrole", "Information about cluster role.")),
	})
}

func roleBindings() *kind {
	type binding = rbacv1.RoleBinding
	return newKind(spec[binding]{
		resource: "rolebindings", path: "apis/rbac.authorization.k8s.io/v1/rolebindings", goType: "*v1.RoleBinding",
		identity: []string{"namespace", "rolebinding"},
		identify: namespacedName[binding],
		families: append(roleFamilies[binding]("rolebinding", "the rolebinding"), family[binding]{
			name: "kube_rolebinding_info", help: "Information about rolebinding.",
			labels: []string{"roleref_kind", "roleref_name"},
			write:  func(w *writer, b *binding) { w.put(1, b.RoleRef.Kind, b.RoleRef.Name) },
		}),
	})
}

func clusterRoleBindings() *kind {
	type binding = rbacv1.ClusterRoleBinding
	return newKind(spec[binding]{
		resource: "clusterrolebindings", path: "apis/rbac.authorization.k8s.io/v1/clusterrolebindings", goType: "*v1.ClusterRoleBinding",
		identity: []string{"clusterrolebinding"},
		identify: clusterName[binding],
		families: append(roleFamilies[binding]("clusterrolebinding", "the clusterrolebinding"), family[binding]{
			name: "kube_clusterrolebinding_info", help: "Information about clusterrolebinding.",
			labels: []string{"roleref_kind", "roleref_name"},
			write:  func(w *writer, b *binding) { w.put(1, b.RoleRef.Kind, b.RoleRef.Name) },
		}),
	})
}

func roleFamilies[T any, P of[T]](noun, title string) []family[T] {
	return []family[T]{
		createdFamily[T, P](noun),
		versionFamily[T, P](noun, title),
		labelsFamily[T, P](noun),
		annotationsFamily[T, P](noun),
	}
}
