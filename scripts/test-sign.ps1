<#
.SYNOPSIS
Signs the driver, its catalog and screamctl in the folder of a package.
.DESCRIPTION
Without a thumbprint it makes a test certificate for this one package, puts it into the folder, and deletes its private
key: Windows takes such a driver only with test signing on. package.ps1 calls this.
.PARAMETER Package
The folder of the package.
.PARAMETER Thumbprint
A certificate with a private key in Cert:\CurrentUser\My.
.PARAMETER Timestamp
The address of a time-stamping service (RFC 3161).
.EXAMPLE
scripts\test-sign.ps1 -Package target\windows\scream-0.1.0
#>
[CmdletBinding()]
param(
    [Parameter(Mandatory)]
    [string] $Package,
    [string] $Thumbprint,
    [string] $Timestamp
)
$ErrorActionPreference = 'Stop'
trap { [Console]::Error.WriteLine("error: $_"); exit 1 }
. "$PSScriptRoot\wdk.ps1"

$signtool = Find-Tool signtool.exe
$files = @(Get-ChildItem -Path $Package -Recurse -File -Include 'scream.sys', 'scream.cat', 'screamctl.exe')
if (-not $files) { throw "there is nothing to sign in ${Package}: run scripts\package.ps1 first" }

$test = -not $Thumbprint
if ($test) {
    $name = "Scream in Rust test certificate $([guid]::NewGuid().ToString('N').Substring(0, 8))"
    $made = New-SelfSignedCertificate -Type CodeSigningCert -Subject "CN=$name" -KeyAlgorithm RSA -KeyLength 3072 `
        -HashAlgorithm SHA256 -NotAfter (Get-Date).AddYears(2) -CertStoreLocation Cert:\CurrentUser\My
    $Thumbprint = $made.Thumbprint
    $folder = "$Package\certificate"
    New-Item -ItemType Directory -Force -Path $folder | Out-Null
    Export-Certificate -Cert $made -FilePath "$folder\scream-test.cer" | Out-Null
}
try {
    foreach ($file in $files) {
        $arguments = @('sign', '/sha1', $Thumbprint, '/s', 'My', '/fd', 'SHA256')
        if ($Timestamp) { $arguments += @('/tr', $Timestamp, '/td', 'SHA256') }
        Invoke-Tool $signtool ($arguments + $file.FullName)
    }
} finally {
    if ($test) { Remove-Item -Path "Cert:\CurrentUser\My\$Thumbprint" -DeleteKey }
}
