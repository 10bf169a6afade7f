package kubestate

import (
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

func persistentVolumes() *kind {
	return newKind(spec[corev1.PersistentVolume]{
		resource: "persistentvolumes", path: "api/v1/persistentvolumes", goType: "*v1.PersistentVolume",
		identity: []string{"persistentvolume"},
		identify: clusterName[corev1.PersistentVolume],
		families: []family[corev1.PersistentVolume]{
			createdFamily[corev1.PersistentVolume]("persistentvolume"),
			deletedFamily[corev1.PersistentVolume]("persistentvolume"),
			labelsFamily[corev1.PersistentVolume]("persistentvolume"),
			annotationsFamily[corev1.PersistentVolume]("persistentvolume"),
			{
				name: "kube_persistentvolume_claim_ref", help: "Information about the Persistent Volume Claim Reference.",
				labels: []string{"name", "claim_namespace"},
				write: func(w *writer, p *corev1.PersistentVolume) {
					if c := p.Spec.ClaimRef; c != nil {
						w.put(1, c.Name, c.Namespace)
					}
				},
			}, {
				name:   "kube_persistentvolume_status_phase",
				help:   "The phase indicates if a volume is available, bound to a claim, or released by a claim.",
				labels: []string{"phase"},
				write: func(w *writer, p *corev1.PersistentVolume) {
					if p.Status.Phase != "" {
						w.states(string(p.Status.Phase), "Pending", "Available", "Bound", "Released", "Failed")
					}
				},
			}, {
				name: "kube_persistentvolume_info", help: "Information about persistentvolume.",
				labels: append(append([]string{"storageclass"}, volumeSourceLabels[:]...), "reclaim_policy"),
				write: func(w *writer, p *corev1.PersistentVolume) {
					source := volumeSource(&p.Spec)
					values := append([]string{p.Spec.StorageClassName}, source[:]...)
					w.put(1, append(values, string(p.Spec.PersistentVolumeReclaimPolicy))...)
				},
			}, {
				name: "kube_persistentvolume_capacity_bytes", help: "Persistentvolume capacity in bytes.",
				write: func(w *writer, p *corev1.PersistentVolume) {
					w.put(float64(p.Spec.Capacity.Storage().Value()))
				},
			}, {
				name: "kube_persistentvolume_volume_mode", help: "Volume Mode information for the PersistentVolume.",
				labels: []string{"volumemode"},
				write: func(w *writer, p *corev1.PersistentVolume) {
					mode := text(p.Spec.VolumeMode)
					if mode == "" {
						mode = string(corev1.PersistentVolumeFilesystem)
					}
					w.put(1, mode)
				},
			},
		},
	})
}

// The labels that say where a volume is, of which one group has values.
const (
	gceDisk = iota
	ebsVolume
	azureDisk
	fcWWIDs
	fcLUN
	fcTargetWWNs
	iscsiPortal
	iscsiIQN
	iscsiLUN
	iscsiInitiator
	nfsServer
	nfsPath
	csiDriver
	csiHandle
	localPath
	localFS
	hostPath
	hostPathType
	volumeSourceCount
)

var volumeSourceLabels = [volumeSourceCount]string{
	gceDisk: "gce_persistent_disk_name", ebsVolume: "ebs_volume_id", azureDisk: "azure_disk_name",
	fcWWIDs: "fc_wwids", fcLUN: "fc_lun", fcTargetWWNs: "fc_target_wwns",
	iscsiPortal: "iscsi_target_portal", iscsiIQN: "iscsi_iqn", iscsiLUN: "iscsi_lun", iscsiInitiator: "iscsi_initiator_name",
	nfsServer: "nfs_server", nfsPath: "nfs_path", csiDriver: "csi_driver", csiHandle: "csi_volume_handle",
	localPath: "local_path", localFS: "local_fs", hostPath: "host_path", hostPathType: "host_path_type",
}

func volumeSource(s *corev1.PersistentVolumeSpec) (values [volumeSourceCount]string) {
	switch {
	case s.GCEPersistentDisk != nil:
		values[gceDisk] = s.GCEPersistentDisk.PDName
	case s.AWSElasticBlockStore != nil:
		values[ebsVolume] = s.AWSElasticBlockStore.VolumeID
	case s.AzureDisk != nil:
		values[azureDisk] = s.AzureDisk.DiskName
	case s.FC != nil:
		values[fcLUN] = whole(s.FC.Lun)
		values[fcTargetWWNs] = strings.Join(s.FC.TargetWWNs, ",")
		values[fcWWIDs] = strings.Join(s.FC.WWIDs, ",")
	case s.ISCSI != nil:
		values[iscsiPortal], values[iscsiIQN] = s.ISCSI.TargetPortal, s.ISCSI.IQN
		values[iscsiLUN] = strconv.Itoa(int(s.ISCSI.Lun))
		values[iscsiInitiator] = text(s.ISCSI.InitiatorName)
	case s.NFS != nil:
		values[nfsServer], values[nfsPath] = s.NFS.Server, s.NFS.Path
	case s.CSI != nil:
		values[csiDriver], values[csiHandle] = s.CSI.Driver, s.CSI.VolumeHandle
	case s.Local != nil:
		values[localPath], values[localFS] = s.Local.Path, text(s.Local.FSType)
	case s.HostPath != nil:
		values[hostPath], values[hostPathType] = s.HostPath.Path, text(s.HostPath.Type)
	}
	return values
}
