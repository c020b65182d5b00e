<#
.SYNOPSIS
Makes a package with the genuine tools of what build.ps1 has built: stampinf, infverif, Inf2Cat, signtool, makecab.
.DESCRIPTION
The layout is that of cargo xtask package. The folder and a zip of it are in target\windows. Without a thumbprint it is
signed with a test certificate of its own.
.PARAMETER Thumbprint
A certificate with a private key in Cert:\CurrentUser\My.
.PARAMETER Timestamp
The address of a time-stamping service (RFC 3161).
.EXAMPLE
scripts\package.ps1
#>
[CmdletBinding()]
param(
    [string] $Thumbprint,
    [string] $Timestamp
)
$ErrorActionPreference = 'Stop'
trap { [Console]::Error.WriteLine("error: $_"); exit 1 }
. "$PSScriptRoot\wdk.ps1"

# Every Windows that the INF is for, on either processor.
$systems = foreach ($release in 'VB', 'CO', 'NI', 'GE') { "10_${release}_X64", "10_${release}_ARM64" }

$root = Split-Path -Parent $PSScriptRoot
$version = Get-ScreamVersion
$built = "$root\target\windows"
$package = "$built\scream-$version"
$driver = "$package\driver"

# Copies a text, with the line ends of Windows whatever those of the checkout are.
function Copy-Text {
    param([string] $From, [string] $To, [string] $Encoding = 'ascii')
    Get-Content -Encoding utf8 -LiteralPath "$root\$From" |
        Set-Content -Encoding $Encoding -LiteralPath "$package\$To"
}

# Puts all files where crates\driver-package\src\layout.rs says.
function New-Layout {
    if (Test-Path -LiteralPath $package) { Remove-Item -Recurse -LiteralPath $package }
    New-Item -ItemType Directory -Path $driver, "$package\attestation" | Out-Null
    foreach ($one in 'x64', 'arm64') {
        $from = "$built\$one"
        if (-not (Test-Path -LiteralPath "$from\scream.sys")) {
            throw "there is no driver in ${from}: run scripts\build.ps1 first"
        }
        New-Item -ItemType Directory -Path "$driver\$one", "$package\$one", "$package\symbols\$one" | Out-Null
        Copy-Item -LiteralPath "$from\scream.sys" -Destination "$driver\$one"
        Copy-Item -LiteralPath "$from\screamctl.exe" -Destination "$package\$one"
        Copy-Item -LiteralPath "$from\scream.pdb" -Destination "$package\symbols\$one"
    }
    Copy-Text 'inf\scream.inf' 'driver\scream.inf'
    Copy-Text 'install.bat' 'install.bat'
    Copy-Text 'uninstall.bat' 'uninstall.bat'
    Copy-Text 'scripts\README.txt' 'README.txt'
    Copy-Text 'LICENSE' 'LICENSE.txt'
    New-Item -ItemType Directory -Path "$package\docs" | Out-Null
    Copy-Text 'docs\install.md' 'docs\install.md' utf8
    Copy-Text 'docs\options.md' 'docs\options.md' utf8
}

# What Microsoft signs: one driver for both processors, in one folder, with its symbols.
function New-Cabinet {
    $directives = @(
        '.OPTION EXPLICIT', '.Set Cabinet=on', '.Set Compress=on', '.Set CompressionType=MSZIP', '.Set MaxDiskSize=0',
        '.Set CabinetFileCountThreshold=0', '.Set FolderFileCountThreshold=0', '.Set FolderSizeThreshold=0',
        '.Set MaxCabinetSize=0', '.Set MaxDiskFileCount=0', '.Set RptFileName=nul', '.Set InfFileName=nul',
        ".Set DiskDirectoryTemplate=`"$package\attestation`"", ".Set CabinetNameTemplate=scream-$version.cab",
        '.Set DestinationDir=scream', "`"$driver\scream.inf`"", "`"$driver\scream.cat`""
    )
    foreach ($one in 'x64', 'arm64') {
        $directives += ".Set DestinationDir=scream\$one", "`"$driver\$one\scream.sys`""
        $directives += "`"$package\symbols\$one\scream.pdb`""
    }
    Set-Content -Encoding ascii -LiteralPath "$built\scream.ddf" -Value $directives
    Invoke-Tool makecab.exe @('/F', "$built\scream.ddf")
}

New-Layout
Invoke-Tool (Find-Tool stampinf.exe) @('-f', "$driver\scream.inf", '-d', '*', '-v', "$version.0")
Invoke-Tool (Find-Tool infverif.exe) @('/v', '/w', "$driver\scream.inf")
Invoke-Tool (Find-Tool inf2cat.exe) @("/driver:$driver", "/os:$($systems -join ',')", '/uselocaltime', '/verbose')
& "$PSScriptRoot\test-sign.ps1" -Package $package -Thumbprint $Thumbprint -Timestamp $Timestamp
if ($LASTEXITCODE -ne 0) { throw 'the package is not signed' }
New-Cabinet
Compress-Archive -Force -Path $package -DestinationPath "$package.zip"
Write-Host "made $package.zip"
